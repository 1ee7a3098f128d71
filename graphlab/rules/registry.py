"""All rules, collected from the files gl*.py of this folder: a new rule is a file and a page."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace

from graphlab import rules
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def _found() -> tuple[Rule, ...]:
    names = sorted(each.name for each in pkgutil.iter_modules(rules.__path__))
    return tuple(
        importlib.import_module(f"{rules.__name__}.{name}").RULE
        for name in names
        if name.startswith("gl")
    )


# In the order of their codes, because the files are sorted by name.
RULES = _found()


# Whether an error in a rule is raised at once, as in graphlab's own tests.
STRICT = False


def find(trace: Trace, failed: Callable[[Rule, Exception], None] | None = None) -> list[Finding]:
    """The findings of all rules, in the order of the rules' codes. `failed` is told of a rule that
    cannot be checked; without it, its exception is raised."""
    found: list[Finding] = []
    for rule in RULES:
        try:
            found += _checked(rule, trace)
        except Exception as error:
            if failed is None or STRICT:
                raise
            failed(rule, error)
    return found


def _checked(rule: Rule, trace: Trace) -> list[Finding]:
    try:
        return [*rule.check(trace)]
    except Exception:
        if STRICT:
            raise
        # Most that can go wrong is in an edit of the source: without it, the finding is still told.
        return [*rule.check(replace(trace, sources={}))]

"""Every rule, found by its file: to add one is to add its file and its page."""

from __future__ import annotations

import importlib
import pkgutil

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


# In the order of their codes, which their files' names begin with.
RULES = _found()


def find(trace: Trace) -> list[Finding]:
    """Every finding of every rule, in the order of the codes."""
    return [finding for rule in RULES for finding in rule.check(trace)]

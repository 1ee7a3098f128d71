"""The ranks had the same gradients and updated their parameters differently."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.joint import ranks_in_words
from graphlab.trace.ranks.sightings import StepsApart


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, StepsApart):
            continue
        optimizer = trace.optimizers[each.optimizer]
        by = each.by or message("ranks.gl303.unseen")
        cause: Place | None = None
        if each.why == "written":
            cause = Place(each.cause, by) if each.cause is not None else None
        elif each.why == "settings" or (each.why == "rate" and each.cause is None):
            cause = Place(optimizer.at, f"{optimizer.class_name}(…)")
        elif each.why == "skipped":
            cause = _condition(trace, each.at)
        elif each.cause is not None:
            cause = Place(each.cause, each.by)
        key = "values_by" if each.why == "values" and each.by else each.why
        words = {
            "name": optimizer.name,
            "by": by,
            "ranks": ranks_in_words(each.ranks) if each.ranks else "",
            "iteration": each.iteration,
            "differs": list(each.differs),
        }
        yield Finding(
            *RULE.label,
            summary=message(f"ranks.gl303.{key}", **words),
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]) if each.tensors else None,
            cause=cause,
            failed=Place(each.at, f"{optimizer.name}.step()"),
            help=(Help(message(f"ranks.gl303.{each.why}_help", **words)),),
            ranks=each.ranks,
        )


def _condition(trace: Trace, at: Location | None) -> Place | None:
    """The innermost ``if`` around a line."""
    if at is None:
        return None
    source = trace.sources.get(at.file, "")
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    tests = [
        node.test
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and node.lineno <= at.line <= (node.end_lineno or 0)
    ]
    if not tests:
        return None
    test = max(tests, key=lambda node: node.lineno)
    text = source.splitlines()[test.lineno - 1]
    code = text.strip()
    indent = len(text) - len(text.lstrip())
    end = Location(
        at.file,
        test.lineno,
        indent + 1,
        test.lineno,
        len(text.rstrip()) + 1,
        at.function,
        code,
        indent,
    )
    return Place(end, f"if {ast.unparse(test)}")


RULE = Rule("GL303", "ranks-apply-different-steps", "warning", check)

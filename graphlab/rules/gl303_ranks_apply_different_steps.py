"""The ranks had the same gradients and updated their parameters differently."""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
        call = f"{optimizer.name}.step()"
        cause: Place | None = None
        differs = "; ".join(each.differs)
        if each.why == "written":
            by = each.by or "something that was not seen"
            who = ranks_in_words(each.ranks)
            said = (
                f"the ranks had the same gradients after the backward, then {by} changed those of "
                f"{who}, and {call} applies different steps"
            )
            help = f"Let every rank do the same to its gradients before {call}."
            cause = Place(each.cause, by) if each.cause is not None else None
        elif each.why == "rate":
            said = f"{call} has another learning rate on each rank ({differs})"
            help = "Give every rank the same learning rate, and step its scheduler on all of them."
            made = Place(optimizer.at, f"{optimizer.class_name}(…)")
            cause = Place(each.cause, each.by) if each.cause is not None else made
        elif each.why == "settings":
            said = f"{call} has other settings on each rank ({differs})"
            help = "Give every rank's optimizer the same settings."
            cause = Place(optimizer.at, f"{optimizer.class_name}(…)")
        elif each.why == "skipped":
            who = ranks_in_words(each.ranks)
            said = (
                f"only {who} ran {call} in iteration {each.iteration}: the ranks had averaged "
                "gradients, and train different models from there on"
            )
            help = "Decide on every rank alike, by a value that all have: all_reduce it first."
            cause = _condition(trace, each.at)
        else:
            by = f", by {each.by}" if each.by else ""
            said = (
                f"the ranks' parameters differ before {call}{by}, though their gradients are the "
                "same"
            )
            cause = Place(each.cause, each.by) if each.cause is not None else None
            help = "Write to parameters on every rank alike, or broadcast them afterwards."
        yield Finding(
            *RULE.label,
            summary=said,
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]) if each.tensors else None,
            cause=cause,
            failed=Place(each.at, call),
            help=(Help(help),),
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

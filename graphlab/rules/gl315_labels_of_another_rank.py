"""Labels count the rows of one rank, and the scores have columns for those of all ranks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.source.places import place
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.inputs import OthersLabels


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, OthersLabels):
            continue
        made = _made(trace, each.at)
        name = made.what if made is not None else message("ranks.gl315.the_labels")
        yield Finding(
            *RULE.label,
            summary=message(
                "ranks.gl315.summary",
                labels=name,
                last=each.rows - 1,
                rank=each.rank,
                first=each.rank * each.rows,
            ),
            cause=made or Place(each.at, each.call),
            failed=Place(each.at, each.call),
            help=(Help(message("ranks.gl315.help", labels=name)),),
        )


def _made(trace: Trace, at: Location | None) -> Place | None:
    """The one assignment, in the function of a loss, to the labels that it is given."""
    try:
        tree = ast.parse(trace.sources.get(at.file, "")) if at is not None else None
    except SyntaxError:
        return None
    if at is None or tree is None:
        return None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _covers(node, at)]
    names = {_labels(node) for node in calls} - {""}
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _covers(node, at)
    ]
    scope = max(functions, key=lambda node: node.lineno) if functions else tree
    found = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and {node.targets[0].id} == names
    ]
    if len(found) != 1:
        return None
    where = place(found[0], at.file, at.function, trace.sources[at.file])
    return Place(where, next(iter(names)))


def _labels(call: ast.Call) -> str:
    given = [each.value for each in call.keywords if each.arg == "target"] or call.args[1:2]
    return given[0].id if given and isinstance(given[0], ast.Name) else ""


def _covers(node: ast.expr | ast.stmt, at: Location) -> bool:
    return node.lineno <= at.line <= (node.end_lineno or 0)


RULE = Rule("GL315", "labels-of-another-rank", "warning", check)

"""Tells what of an expression leaves the graph, as ``.detach()`` or NumPy do, and takes it away."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location

_LEAVING = {"detach", "detach_", "item", "tolist", "numpy"}
_COPYING = {
    "tensor", "as_tensor", "from_numpy", "FloatTensor", "Tensor", "float", "asarray",
    "Variable",
}  # fmt: skip
_LISTS = (ast.List, ast.Tuple, ast.ListComp)


def left_graph(file: Rewriting, node: ast.AST) -> tuple[ast.expr, bool] | None:
    """What a call or attribute that leaves the graph is given, and whether that is a list; None for
    any other node."""
    if isinstance(node, ast.Attribute) and node.attr == "data" and isinstance(node.ctx, ast.Load):
        return node.value, False
    if not isinstance(node, ast.Call):
        return None
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr in _LEAVING and not node.args:
        return func.value, False
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    library = not isinstance(func, ast.Attribute) or ast.unparse(func.value) in ("torch", "np")
    if name not in _COPYING or not library or len(node.args) != 1:
        return None
    given = node.args[0]
    return given, isinstance(given, _LISTS) or is_list(file, given)


def is_list(file: Rewriting, given: ast.expr) -> bool:
    if not isinstance(given, ast.Name | ast.Attribute):
        return False
    name = given.id if isinstance(given, ast.Name) else given.attr
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.List | ast.ListComp)
        and name in (ast.unparse(each) for each in node.targets)
        for node in ast.walk(file.tree)
    ) or bool(re.search(rf"\b{name}\.append\(", file.source))


def without(file: Rewriting, cuts: list[ast.AST]) -> list[tuple[int, int, str]]:
    """The edits that leave these out: what stands before and after the value that each is given."""
    edits = []
    for node in dict.fromkeys(cuts):
        inner = left_graph(file, node)
        assert inner is not None
        value, stacked = inner
        (start, end), (first, last) = file.span(node), file.span(value)
        loose = isinstance(value, ast.BinOp | ast.UnaryOp | ast.IfExp | ast.Compare)
        before = "torch.stack(" if stacked else "(" if loose else ""
        edits += [(start, first, before), (last, end, ")" if before else "")]
    return [each for each in edits if each[0] < each[1] or each[2]]


def whole(file: Rewriting, value: ast.expr) -> str:
    """What an expression is without all that leaves the graph around it."""
    while (inner := left_graph(file, value)) is not None:
        value = inner[0]
    return ast.unparse(value)


def no_parameter(file: Rewriting, at: Location) -> Iterator[Help]:
    """``w`` for ``nn.Parameter(w)``, where `w` has a graph that is to be kept. A module takes it in
    place of a parameter only after that is gone."""
    statement = file.statement(at.line)
    found = [
        each
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.Call)
        and ast.unparse(each.func).rpartition(".")[2] == "Parameter"
        and len(each.args) == 1
        and file.is_at(each, at)
    ]
    if statement is None or len(found) != 1:
        return
    call = found[0]
    edits = [(*file.span(call), file.text(call.args[0]))]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if targets and _assigns(statement, call) and isinstance(targets[0], ast.Attribute):
        place = file.whole(statement)[0]
        first = f"{' ' * statement.col_offset}del {file.text(targets[0])}\n"
        edits.insert(0, (place, place, first))
    help = file.help(message("repairs.tried.no_parameter"), *edits)
    if help is not None:
        yield help


def _assigns(statement: ast.stmt, value: ast.expr) -> bool:
    """Whether a statement assigns just that value to one target."""
    return (
        isinstance(statement, ast.Assign)
        and statement.value is value
        and len(statement.targets) == 1
    )

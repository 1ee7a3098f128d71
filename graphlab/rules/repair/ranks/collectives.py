"""Repairs of collectives whose result goes into a loss: by functions that are operations of the
graph."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, called
from graphlab.source.blocks import StatementInScope
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# What takes the place of a function of torch.distributed's that overwrites or fills a tensor.
_SINGLE = {
    "reduce": "all_reduce", "all_gather": "all_gather_single",
    "all_gather_into_tensor": "all_gather_single", "reduce_scatter": "reduce_scatter_single",
    "reduce_scatter_tensor": "reduce_scatter_single", "all_to_all": "all_to_all_single",
}  # fmt: skip


def with_graph(trace: Trace, operation: str) -> str:
    """The function of this torch that does the same and has a gradient, by its full name."""
    version = [int(part) for part in re.findall(r"\d+", trace.environment.torch)[:2]]
    if version < [2, 13]:
        return f"torch.distributed.nn.functional.{operation}"
    # torch 2.13 and 2.14 name the private module where they warn of the one above.
    module = "functional_collectives" if version >= [2, 15] else "_functional_collectives"
    return f"torch.distributed.{module}.{_SINGLE.get(operation, operation)}"


def gathered_in_the_graph(trace: Trace, cut: Location | None) -> Iterator[Help]:
    """Gather by a function that has a gradient where a line with no graph behind it does: itself,
    or the one function that it calls."""
    file = Rewriting.of(trace, cut)
    statement = file.statement(cut.line) if file is not None and cut is not None else None
    if cut is None or statement is None or hasattr(statement, "body"):
        return
    names = {called(each) for each in ast.walk(statement) if isinstance(each, ast.Call)}
    known = Callers(trace, cut)
    bodies = [each for each in known.functions if each.name in names]
    calls = [
        (other.file, node.lineno)
        for other in known.files
        for node in ast.walk(other.tree)
        if isinstance(node, ast.Call)
        and called(node) == "all_gather"
        and other.function(node) in bodies
    ]
    if len(calls) == 1:
        (path, line) = calls[0]
        found = in_the_graph(trace, replace(cut, file=path, line=line, end_line=line), "all_gather")
        if found is not None:
            yield found


def in_the_graph(trace: Trace, at: Location, operation: str) -> Help | None:
    """Replace ``dist.all_reduce(x)`` or ``dist.all_gather(parts, x)`` by the function that has a
    gradient."""
    here = StatementInScope.of(trace, at)
    module, _, function = with_graph(trace, operation).rpartition(".")
    if here is None or not isinstance(here.statement, ast.Expr) or module.endswith("nn.functional"):
        return None
    call = here.statement.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    dist = ast.unparse(call.func.value)
    named = {each.arg: ast.unparse(each.value) for each in call.keywords}
    given = [ast.unparse(each) for each in call.args]
    group = named.pop("group", f"{dist}.group.WORLD")
    if named.get("async_op") == "False":
        del named["async_op"]
    if operation == "all_reduce" and len(given) <= 2:
        op = named.pop("op", given[1] if len(given) == 2 else "SUM")
        target = value = given[0] if given else named.pop("tensor", "")
        new = f'{function}({value}, "sum", {group})'
        if op.rpartition(".")[2] != "SUM":
            return None
    elif operation == "all_gather" and len(given) == 2:
        target, value = given
        new = f"list({function}({value}, 0, {group}).chunk({dist}.get_world_size({group})))"
    else:
        return None
    if named or not target.isidentifier():
        return None
    text = message("repairs.wrapped.with_graph", function=f"{module}.{function}")
    lines = (f"from {module} import {function}", f"{target} = {new}")
    file = Rewriting.of(trace, at)
    around = _without_grad(file, at) if file is not None else None
    if file is None or around is None or not around:
        return here.help(text, *lines) if around is not None else None
    # Where no graph is recorded, there is none to give it.
    statement = file.statement(at.line)
    assert statement is not None
    indent = " " * statement.col_offset
    edits = [(start, end, "") for start, end in around]
    new = "".join(f"{indent}{each}\n" for each in lines)
    return file.help(text, *edits, (*file.whole(statement), new))


def _without_grad(file: Rewriting, at: Location) -> list[tuple[int, int]] | None:
    """The lines of the decorator that records no graph at a line; None where something else does
    that cannot be left out."""
    statement = file.statement(at.line)
    if statement is None or not file.body(statement):
        return None
    found: list[tuple[int, int]] = []
    for each in file.around(statement):
        if isinstance(each, ast.With) and any(_is_off(e.context_expr) for e in each.items):
            return None
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in filter(_is_off, each.decorator_list):
            start, end = file.span(decorator)
            start = file.source.rindex("@", 0, start)
            start = file.source.rfind("\n", 0, start) + 1
            found.append((start, file.source.index("\n", end) + 1))
    return found


def _is_off(context: ast.expr) -> bool:
    return re.search(r"\b(no_grad|inference_mode)\b", ast.unparse(context)) is not None

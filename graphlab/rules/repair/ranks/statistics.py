"""Repairs of running statistics that each rank gathers from its own data: averaged where they are
written, or taken over what all ranks were given."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.replicas import imported
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_LOOPS = (ast.For, ast.While, ast.AsyncFor)
# What is not called with a batch of this rank alone to keep a statistic of it.
_RESULTS = ("forward", "__call__", "__init__")


def over_all_ranks(trace: Trace, written: Location | None) -> Iterator[Help]:
    """Let the ranks have the same statistics, which the line `written` writes. The average of
    several need not be what the whole batch would give, so that the whole batch comes first."""
    file = Rewriting.of(trace, written)
    statement = file.statement(written.line) if file is not None and written is not None else None
    method = file.function(statement) if file is not None and statement is not None else None
    holder = file.parents.get(id(method)) if file is not None and method is not None else None
    dist = imported(file.source).get("torch.distributed") if file is not None else None
    if file is None or method is None or dist is None or not isinstance(holder, ast.ClassDef):
        return
    edits, names, several = _averages(file, holder, method, dist)
    averaged = message("repairs.statistics.averaged", names=sorted({*names}))
    found = [file.help(averaged, *edits)] if edits else []
    found.insert(0 if several else len(found), _gathered(file, method, dist))
    yield from (each for each in found if each is not None)


def _averages(
    file: Rewriting, holder: ast.ClassDef, method: Function, dist: str
) -> tuple[list[tuple[int, int, str]], list[str], bool]:
    """The edits that average the tensors that a method writes to from what is not the module's
    own, which they are, and whether it writes to more than one attribute so."""
    tensors = {*_tensors(file, holder)}
    edits: list[tuple[int, int, str]] = []
    names: list[str] = []
    written: set[str] = set()
    for each in ast.walk(method):
        name = _written(each) if isinstance(each, ast.stmt) else ""
        if not isinstance(each, ast.stmt) or not name.startswith("self.") or not _outside(each):
            continue
        written.add(name)
        if name not in tensors:
            continue
        # In a loop each rank may have other turns.
        loops = [one for one in file.around(each) if isinstance(one, _LOOPS)]
        last = next((one for one in reversed(loops) if method in file.around(one)), each)
        if not file.body(last):
            return [], [], False
        if name not in names or not loops:
            place, indent = file.whole(last)[1], " " * last.col_offset
            text = f"{indent}{dist}.all_reduce({name})\n{indent}{name} /= {dist}.get_world_size()\n"
            edits.append((place, place, text))
            names.append(name)
    return edits, names, len(written) > 1


def _tensors(file: Rewriting, holder: ast.ClassDef) -> Iterator[str]:
    """The buffers of a class, and the attributes that a function of torch's makes."""
    for node in ast.walk(holder):
        if isinstance(node, ast.Call) and file.text(node.func) == "self.register_buffer":
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant):
                yield f"self.{named.value}"
        made = node.value if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(made, ast.Call):
            tensor = ast.unparse(made.func).startswith("torch.")
            yield from (file.text(each) for each in node.targets if tensor)


def _gathered(file: Rewriting, method: Function, dist: str) -> Help | None:
    """Give a method that only takes statistics of a batch, its one argument, that of all ranks."""
    returns = [each for each in ast.walk(method) if isinstance(each, ast.Return) and each.value]
    arguments = [*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs]
    found = file.torch()
    if method.name in _RESULTS or returns or len(arguments) != 2 or found is None or found[1]:
        return None
    torch, batch = found[0], arguments[1].arg
    body = method.body[1:] if ast.get_docstring(method, clean=False) is not None else method.body
    if not body or not file.body(body[0]):
        return None
    place, indent = file.whole(body[0])[0], " " * body[0].col_offset
    lines = (
        f"{batch} = {batch}.detach().contiguous()",
        f"parts = [{torch}.empty_like({batch}) for _ in range({dist}.get_world_size())]",
        f"{dist}.all_gather(parts, {batch})",
        f"{batch} = {torch}.cat(parts)",
    )
    text = "".join(f"{indent}{each}\n" for each in lines)
    told = message("repairs.statistics.gathered", name=batch)
    return file.help(told, (place, place, text))


def _written(statement: ast.stmt) -> str:
    """What it writes to, as a whole or an item of it: ``self.mean = …``, ``self.mean[k] = …``, or
    ``self.mean.mul_(…).add_(…)``."""
    node: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        node = statement.targets[0]
    elif isinstance(statement, ast.AugAssign):
        node = statement.target
    elif isinstance(statement, ast.Expr):
        node = statement.value
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if not node.func.attr.endswith("_"):
                return ""
            node = node.func.value
    while isinstance(node, ast.Subscript):
        node = node.value
    return ast.unparse(node) if isinstance(node, ast.Attribute) else ""


def _outside(statement: ast.stmt) -> bool:
    """Whether it reads names that are not the module's."""
    value = getattr(statement, "value", None)
    read = {
        node.id
        for node in (ast.walk(value) if isinstance(value, ast.expr) else ())
        if isinstance(node, ast.Name)
    }
    return bool(read - {"self"})

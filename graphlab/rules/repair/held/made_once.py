"""Where a layer is made; repair of one that forward makes in each call."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphlab.language import message
from graphlab.source.places import place
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, TensorInfo, Trace

# What a layer is told of its input, and in which dimension of its weight that is.
_INPUT = ("in_features", "in_channels", "num_features")
_DIMENSION = {"Linear": 1} | {
    f"{kind}{count}d": at
    for kind, at in {"Conv": 1, "ConvTranspose": 0, "BatchNorm": 0}.items()
    for count in (1, 2, 3)
}


def made_in_constructor(
    trace: Trace, made: Location | None, tensors: Sequence[TensorInfo]
) -> Iterator[Help]:
    """Move ``self.fc = nn.Linear(x.size(1), 3)`` to the end of the constructor, with the size of
    the input that `tensors`, its parameters, were seen to have where only forward knows it."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    method = file.parents.get(id(statement))
    owner = file.parents.get(id(method)) if isinstance(method, Function) else None
    if not isinstance(owner, ast.ClassDef) or not isinstance(method, Function):
        return
    constructor = next(
        (e for e in owner.body if isinstance(e, ast.FunctionDef) and e.name == "__init__"), None
    )
    target = statement.targets[0]
    if constructor is None or constructor is method or not _is_own(target, method):
        return
    if len(file.body(statement)) < 2 or not constructor.args.args:
        return
    call = statement.value
    moved = isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("to", "cuda")
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and moved:
        # The model's own to() takes it along.
        call = call.func.value
    known = _known(constructor, method)
    text = _built(file, call, known, tensors) if isinstance(call, ast.Call) else ""
    text = text or (_spelled_out(file, call, known, method) if call is statement.value else "")
    own = method.args.args[0].arg
    if not text or constructor.args.args[0].arg != own:
        return
    last = constructor.body[-1]
    place, indent = file.whole(last)[1], " " * last.col_offset
    name = file.text(target)
    found = file.help(
        message("repairs.held.made_once", name=name),
        (place, place, f"{indent}{name} = {text}\n"),
        (*file.whole(statement), ""),
    )
    if found is not None:
        yield found


def _built(file: Rewriting, call: ast.Call, known: set[str], tensors: Sequence[TensorInfo]) -> str:
    """The call as the constructor can make it; "" where it cannot."""
    given = [*call.args, *(word.value for word in call.keywords)]
    if all(_is_known(each, known) for each in given):
        return file.text(call)
    name = ast.unparse(call.func).rpartition(".")[2]
    weight = next((each.shape for each in tensors if (each.name or "").endswith(".weight")), ())
    word = next((each for each in call.keywords if each.arg in _INPUT), None)
    size = call.args[0] if call.args else word.value if word is not None else None
    at = _DIMENSION.get(name, len(weight))
    rest = [each for each in given if each is not size]
    if size is None or at >= len(weight) or any(each.arg == "groups" for each in call.keywords):
        return ""
    if not all(_is_known(each, known) for each in rest):
        return ""
    (start, end), (first, last) = file.span(call), file.span(size)
    return f"{file.source[start:first]}{weight[at]}{file.source[last:end]}"


def _spelled_out(file: Rewriting, call: ast.expr, known: set[str], method: Function) -> str:
    """The call with what the method computes of known values alone in place of its variables; ""
    where that will not do."""
    start, text = file.span(call)[0], file.text(call)
    names = [each for each in ast.walk(call) if isinstance(each, ast.Name) and each.id not in known]
    for name in sorted(names, key=lambda each: -file.span(each)[0]):
        made = [
            each
            for each in ast.walk(method)
            if isinstance(each, ast.Assign) and name.id in map(ast.unparse, each.targets)
        ]
        stored = [each for each in ast.walk(method) if _stored(each) == name.id]
        if len(made) != 1 or len(stored) != 1 or not _is_known(made[0].value, known):
            return ""
        value = file.text(made[0].value)
        value = value if isinstance(made[0].value, ast.Attribute | ast.Constant) else f"({value})"
        first, last = (each - start for each in file.span(name))
        text = text[:first] + value + text[last:]
    return text if names else ""


def _is_own(node: ast.AST, method: Function) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and bool(method.args.args)
        and node.value.id == method.args.args[0].arg
    )


def _known(constructor: ast.FunctionDef, method: Function) -> set[str]:
    """The attributes that the constructor has set, as ``self.width``, and the names that the method
    does not bind: global ones, if the constructor does not hide them either."""
    attributes = {
        ast.unparse(each)
        for each in ast.walk(constructor)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    }
    local = {
        name
        for function in (constructor, method)
        for each in ast.walk(function)
        if (name := each.arg if isinstance(each, ast.arg) else _stored(each))
    }
    free = {each.id for each in ast.walk(method) if isinstance(each, ast.Name)} - local
    return attributes | free | {*dir(builtins)} - local


def _stored(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else ""


def _is_known(node: ast.expr, known: set[str]) -> bool:
    """Whether it is made of what is known alone."""
    if isinstance(node, ast.Attribute) and ast.unparse(node) in known:
        return True
    if isinstance(node, ast.Name):
        return node.id in known
    inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
    return isinstance(node, ast.Constant) or (
        bool(inner) and all(_is_known(each, known) for each in inner)
    )


def made_where(trace: Trace, at: Location, names: Sequence[str]) -> Location | None:
    """The one statement that gives the attribute or variable its value that holds all the
    parameters `names`. at: any place of the user's."""
    parts = [name.split(".")[:-1] for name in names]
    shared = [each[0] for each in zip(*parts, strict=False) if len(set(each)) == 1]
    found: dict[Location, None] = {}
    for path, source in sorted(trace.sources.items()):
        file = Rewriting.of(trace, replace(at, file=path)) if shared else None
        for node in ast.walk(file.tree) if file is not None else ():
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            for target in node.targets:
                own = target.attr if isinstance(target, ast.Attribute) else None
                if isinstance(target, ast.Name) and len(shared) == 1:
                    own = target.id
                if own == shared[-1]:
                    found[place(node, path, source=source)] = None
    return next(iter(found)) if len(found) == 1 else None

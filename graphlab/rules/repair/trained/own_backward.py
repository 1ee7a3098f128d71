"""Repair of a module's own backward, which autograd never calls: a custom Function that does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.functions.sightings import OwnBackward
from graphlab.trace.model import Trace


def as_a_function(trace: Trace, each: OwnBackward) -> Iterator[Help]:
    """A custom Function whose two methods call those of the module, for a module without parts of
    its own to train."""
    file = Rewriting.of(trace, each.at)
    method = file.statement(each.at.line) if file is not None and each.at is not None else None
    owner = file.parents.get(id(method)) if file is not None else None
    if file is None or not isinstance(owner, ast.ClassDef) or not each.uncalled:
        return
    forward = next(
        (one for one in owner.body if isinstance(one, ast.FunctionDef) and one.name == "forward"),
        None,
    )
    if forward is None or not isinstance(method, Function) or "import torch" not in file.source:
        return
    given, back = _arguments(forward), _arguments(method)
    taken = each.holds or "compute" in file.text(owner)
    if len(given) != 2 or len(back) != 2 or taken or forward.decorator_list:
        return
    x, kind = given[1], f"_{owner.name}Function"
    lines = (
        f"class {kind}(torch.autograd.Function):",
        "    @staticmethod",
        f"    def forward(ctx, module, {x}):",
        "        ctx.module = module",
        f"        return module.compute({x})",
        "",
        "    @staticmethod",
        f"    def backward(ctx, {back[1]}):",
        f"        return None, ctx.module.backward({back[1]})",
        "",
        "",
    )
    indent = " " * forward.col_offset
    place, inner = file.whole(owner)[0], file.whole(forward)[0]
    body = f"return {kind}.apply({given[0]}, {x})"
    new = f"{indent}def forward({given[0]}, {x}):\n{indent}    {body}\n\n"
    at = file.source.index("forward", file.span(forward)[0])
    found = file.help(
        message("repairs.trained.function", name=owner.name),
        (place, place, "".join(f"{' ' * owner.col_offset}{one}".rstrip() + "\n" for one in lines)),
        (inner, inner, new),
        (at, at + len("forward"), "compute"),
    )
    if found is not None:
        yield found


def _arguments(function: Function) -> list[str]:
    plain = function.args
    if plain.vararg or plain.kwarg or plain.kwonlyargs or plain.defaults or plain.posonlyargs:
        return []
    return [each.arg for each in plain.args]

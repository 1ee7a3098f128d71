"""Repairs that give the wrapper, or a checkpoint, another option."""

from __future__ import annotations

import ast
from collections.abc import Callable

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.source.places import line_place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import DDP, FULLY_SHARD, Wrapped

_UNUSED = "find_unused_parameters=True"
_REGISTER = "register_fsdp_forward_method"


def finds_unused(trace: Trace, tensors: tuple[int, ...]) -> Help | None:
    """Let the wrapper of these parameters look for those that a forward does not use."""
    places = [
        each.at
        for each in trace.sightings
        if isinstance(each, Wrapped) and each.kind == DDP and {*each.tensors} & {*tensors}
    ]
    at = places[0] if len(places) == 1 else None
    here = StatementInScope.of(trace, at) if at is not None else None
    if at is None or here is None:
        return None
    calls = [
        node
        for node in ast.walk(here.statement)
        if isinstance(node, ast.Call) and (node.lineno, node.col_offset + 1) == (at.line, at.column)
    ]
    text = here.text(here.statement)
    if len(calls) != 1 or text.count(old := here.text(calls[0])) != 1:
        return None
    if "static_graph=True" in old:
        new = old.replace("static_graph=True", _UNUSED)
    elif old.endswith(")") and not old.rstrip(" )").endswith(","):
        new = f"{old[:-1]}, {_UNUSED})"
    else:
        return None
    return here.help(message("repairs.wrapped.option", option=_UNUSED), text.replace(old, new))


def without_reentrance(trace: Trace, at: Location) -> Help | None:
    """Take the checkpoint at a line for one of the other kind."""
    here = StatementInScope.of(trace, at)
    if here is None:
        return None
    old, new = "use_reentrant=True", "use_reentrant=False"
    text = here.text(here.statement)
    if old not in text:
        return None
    return here.help(message("repairs.wrapped.option", option=new), text.replace(old, new))


def waited_for(trace: Trace, at: Location | None) -> Help | None:
    """Leave ``async_op=True`` out of the only call at a line that has it; where what it returns has
    a name, that is waited for."""
    found = _call(trace, at, lambda call: any(e.arg == "async_op" for e in call.keywords))
    if found is None:
        return None
    file, call = found
    holder = file.parents.get(id(call))
    if isinstance(holder, ast.Assign) and isinstance(holder.targets[0], ast.Name):
        place, indent = file.whole(holder)[1], " " * holder.col_offset
        line = f"{indent}{holder.targets[0].id}.wait()\n"
        return file.help(message("repairs.wrapped.waits"), (place, place, line))
    edit = without(file, call, "async_op")
    return file.help(message("repairs.wrapped.waited"), edit) if edit is not None else None


def given_to_all(trace: Trace, at: Location | None) -> Help | None:
    """``all_reduce(x)`` for ``reduce(x, dst=0)``, which gives the result to one rank alone."""
    found = _call(trace, at, lambda call: ast.unparse(call.func).rpartition(".")[2] == "reduce")
    if found is None:
        return None
    file, call = found
    named = next((each for each in call.keywords if each.arg == "dst"), None)
    edit = without(file, call, "dst") if named is not None else None
    if named is None and len(call.args) == 2:
        edit = file.span(call.args[0])[1], file.span(call.args[1])[1], ""
    start, end = file.span(call.func)
    if edit is None:
        return None
    new = file.text(call.func).removesuffix("reduce") + "all_reduce"
    return file.help(message("repairs.wrapped.to_all"), (start, end, new), edit)


def _call(
    trace: Trace, at: Location | None, fits: Callable[[ast.Call], bool]
) -> tuple[Rewriting, ast.Call] | None:
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or hasattr(statement, "body"):
        return None
    calls = [e for e in ast.walk(statement) if isinstance(e, ast.Call) and fits(e)]
    return (file, calls[0]) if len(calls) == 1 else None


def without(file: Rewriting, call: ast.Call, name: str) -> tuple[int, int, str] | None:
    """The edit that takes a named argument away, which is not the only one, with its comma."""
    given: list[ast.expr | ast.keyword] = sorted(
        [*call.args, *call.keywords], key=lambda each: (each.lineno, each.col_offset)
    )
    at = next((n for n, e in enumerate(given) if isinstance(e, ast.keyword) and e.arg == name), 0)
    return (file.span(given[at - 1])[1], file.span(given[at])[1], "") if at else None


def sharded_whole(trace: Trace, owner: str) -> Help | None:
    """Shard the model too when its blocks have been."""
    found = _sharding(trace)
    if found is None or not owner.isidentifier():
        return None
    file, calls = found
    outer = _outermost(file, calls[-1])
    name = file.text(calls[-1].func)
    indent, place = " " * outer.col_offset, file.whole(outer)[1]
    if owner not in {getattr(each, "id", "") for each in ast.walk(file.tree)}:
        return None
    return file.help(
        message("repairs.wrapped.shard_whole", name=owner),
        (place, place, f"{indent}{name}({owner})\n"),
    )


def built_after_sharding(trace: Trace, at: Location | None) -> Help | None:
    """Build the optimizer when fully_shard has put other parameters into the model."""
    found = _sharding(trace)
    making = found[0].statement(at.line) if found is not None and at is not None else None
    if found is None or making is None or at is None or at.file != found[0].file:
        return None
    file, calls = found
    body = file.body(making)
    last = [each for each in body if any(call in ast.walk(each) for call in calls)][-1:]
    if not last or making not in body or body.index(last[0]) < body.index(making):
        return None
    text = message("repairs.wrapped.sharded_first")
    return file.help(text, *file.moved(making, last[0]))


def registered_forwards(trace: Trace, called: str, at: Location | None) -> Help | None:
    """Name the methods by which the program runs a sharded module, past its forward, so that each
    gathers the parameters as that does. called: such a call at a line, as ``model.encode()``."""
    found = _sharding(trace)
    owner, _, method = called.removesuffix("()").rpartition(".")
    if found is None or at is None or not owner or at.file != found[0].file:
        return None
    file, calls = found
    whole = [e for e in calls if e.args and file.text(e.args[0]) == owner]
    holder = file.statement(whole[-1].lineno) if whole else None
    classes = [
        {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ClassDef)
    ]
    own = [each for each in classes if method in each]
    if not isinstance(holder, ast.Expr) or len(own) != 1 or not file.body(holder):
        return None
    used = {
        node.func.attr
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and file.text(node.func.value) == owner
    }
    place, indent = file.whole(holder)[1], " " * holder.col_offset
    lines = (
        f"from torch.distributed.fsdp import {_REGISTER}",
        *(f'{_REGISTER}({owner}, "{each}")' for each in sorted(used & own[0] - {"forward"})),
    )
    text = "".join(f"{indent}{each}\n" for each in lines)
    return file.help(message("repairs.wrapped.registered", name=owner), (place, place, text))


def _sharding(trace: Trace) -> tuple[Rewriting, list[ast.Call]] | None:
    """The calls of fully_shard, where they are in one file."""
    found: list[tuple[Rewriting, list[ast.Call]]] = []
    for name, source in trace.sources.items():
        file = Rewriting.of(trace, line_place(name, 1, source=source))
        calls = [
            each
            for each in (ast.walk(file.tree) if file is not None else ())
            if isinstance(each, ast.Call)
            and ast.unparse(each.func).rpartition(".")[2] == FULLY_SHARD
        ]
        if file is not None and calls:
            found.append((file, sorted(calls, key=lambda each: each.lineno)))
    return found[0] if len(found) == 1 else None


def _outermost(file: Rewriting, call: ast.Call) -> ast.stmt:
    """The statement of a call, or the outermost loop around it."""
    around = [each for each in file.around(call) if isinstance(each, ast.stmt)]
    inside = next((n for n, e in enumerate(around) if not isinstance(e, ast.For | ast.Expr)), None)
    return around[:inside][-1]

"""Repairs under DistributedDataParallel, which averages once for each forward through it."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.loops import insertions, lines_using, recompute
from graphlab.source.blocks import (
    Block,
    DependentVariables,
    Edit,
    StatementInScope,
    bound_names,
    read_names,
)
from graphlab.source.places import nodes_in
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace
from graphlab.trace.ranks.sightings import DDP, Wrapped


def wrapped(trace: Trace, *kinds: str) -> set[int]:
    """The places of the parameters that wrappers of these kinds take care of."""
    return {
        place
        for each in trace.sightings
        if isinstance(each, Wrapped) and each.kind in kinds
        for place in each.tensors
    }


def used_up_by(trace: Trace, event: Backward, change: Location) -> Backward | None:
    """The backward before `change` that reached parameters of a wrapper which `event` is to train
    as well: those of another optimizer than the one that steps at `change`."""
    stepped = {
        place
        for each in trace.events
        if getattr(each, "at", None) == change
        and (at := getattr(each, "optimizer", None)) is not None
        for place in trace.optimizers[at].owns
    }
    theirs = wrapped(trace, DDP) - stepped
    before = trace.events[: trace.events.index(event)]
    for each in reversed(before):
        if not isinstance(each, Backward) or each.at is None or each.iteration != event.iteration:
            continue
        if each.at.file == change.file and each.at.line < change.line and theirs & {*each.reached}:
            return each
    return None


def detach_and_recompute(
    trace: Trace, lines: set[int], first: Backward, change: Location, failed: Location, done: str
) -> Help:
    """Detach what other networks made before `first`, so that their one averaging is left for the
    backward at `failed`, and compute what depends on `lines` again after `change`."""
    others = _owners(trace, first)
    found = _edits(trace, lines, others, first, change, failed)
    whose = listing(sorted(others)) or message("repairs.wrapped.another")
    words = {"whose": whose, "call": first.call, "by": done}
    if found is None:
        return Help(message("repairs.wrapped.detach_what", **words))
    block, edits, detached, anew = found
    words |= {"names": listing(detached), "anew": listing(anew)}
    return block.help(message("repairs.wrapped.detach", **words), edits)


def _owners(trace: Trace, first: Backward) -> set[str]:
    """The networks that a backward reached besides those that the next step trains."""
    after = trace.events[trace.events.index(first) + 1 :]
    stepping = next((at for e in after if (at := getattr(e, "optimizer", None)) is not None), None)
    own = {*trace.optimizers[stepping].owns} if stepping is not None else set[int]()
    found = {trace.tensors[place].owner for place in first.reached if place not in own}
    return {each for each in found if each and each.isidentifier() and each != "self"}


def _edits(
    trace: Trace,
    lines: set[int],
    others: set[str],
    first: Backward,
    change: Location,
    failed: Location,
) -> tuple[Block, list[Edit], list[str], list[str]] | None:
    if first.at is None or change.file != failed.file or not others or not lines:
        return None
    block = Block(trace.sources.get(failed.file, ""), failed.file, first.at.line, failed.line)
    begin, middle, end = (block.index(at.line) for at in (first.at, change, failed))
    if begin is None or middle is None or end is None or not begin < middle < end:
        return None
    flow = DependentVariables(block, lines, middle)
    places = flow.recompute(middle + 1, end)
    if not places or not flow.simple:
        return None
    made = {
        name
        for statement in block.statements[:begin]
        if others & {each.split(".")[0] for each in read_names(statement)}
        for name in bound_names(statement)
        if name not in flow.origin
    }
    edits: list[Edit] = []
    detached: list[str] = []
    for at in sorted(_needed(block, begin)):
        statement = block.statements[at]
        nodes = [*_outputs(statement, made, others)]
        if not nodes or bound_names(statement) & made:
            continue
        if at not in flow.origin.values():
            # It is not computed again, so that detaching would take it from the other loss.
            return None
        edits.append(Edit.of(statement, _with_detach(block, statement, nodes)))
        detached += [ast.unparse(each) for each in nodes]
    if not edits:
        return None
    anew = [name for _, names in places for name in names]
    return block, [*edits, *insertions(block, flow, places)], [*dict.fromkeys(detached)], anew


def _needed(block: Block, end: int) -> set[int]:
    """The statements before number `end` that what it reads depends on."""
    names, found = read_names(block.statements[end]), set[int]()
    names |= {each.split(".")[0] for each in names}
    for at in range(end - 1, -1, -1):
        statement = block.statements[at]
        if bound_names(statement) & names:
            found.add(at)
            names |= read_names(statement)
    return found


def _outputs(statement: ast.stmt, made: set[str], others: set[str]) -> Iterator[ast.expr]:
    """What a statement reads of the outputs of other networks: variables, or calls of these."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            named, names = node.id, made
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named, names = node.func.id, others
        else:
            continue
        if named in names:
            yield node


def _with_detach(block: Block, statement: ast.stmt, nodes: list[ast.expr]) -> str:
    lines = lines_with_ends(block.text(statement))
    for node in sorted(nodes, key=lambda n: (-(n.end_lineno or 0), -(n.end_col_offset or 0))):
        row = (node.end_lineno or 0) - statement.lineno
        raw, end = lines[row].encode(), node.end_col_offset or 0
        lines[row] = (raw[:end] + b".detach()" + raw[end:]).decode()
    return "".join(lines)


def forward_again(
    trace: Trace, owner: str, first: Location, failed: Location, done: str
) -> Help | None:
    """Run the forward of `owner`, a network, again between two backwards through one forward."""
    lines = lines_using(trace, {owner}, first, failed)
    return recompute(trace, lines, first, failed, done, "repairs.wrapped.forward_again")


def through_the_wrapper(trace: Trace, at: Location) -> Help | None:
    """Call the wrapper itself in the line `at`, instead of its ``.module``."""
    here = StatementInScope.of(trace, at)
    calls = (
        [each for each in ast.walk(here.statement) if isinstance(each, ast.Call)] if here else []
    )
    holders = [(each.func, holder) for each in calls if (holder := _inner(each.func)) is not None]
    if here is None:
        return None
    named = [(here.text(old), here.text(new)) for old, new in holders]
    if not named:
        # What was wrapped, or what an unwrapping gave, by a name of its own.
        outer = wrapped_as(trace.sources.get(at.file, ""))
        called = {here.text(each.func) for each in calls}
        named = [(name, outer[name]) for name in sorted(called & {*outer})]
    if len(named) != 1:
        return None
    old, new = named[0]
    text = here.text(here.statement)
    if text.count(f"{old}(") != 1:
        return None
    return here.help(
        message("repairs.wrapped.call_it", name=new),
        text.replace(f"{old}(", f"{new}("),
    )


# What gives a module with a wrapper around it, in the place of each module that it was given, and
# what takes the wrapper off.
_WRAPS = ("DistributedDataParallel", "DDP", "prepare", "prepare_model", "setup", "setup_module")
_UNWRAPS = ("unwrap_model", "extract_model_from_parallel")


def wrapped_as(source: str) -> dict[str, str]:
    """What the wrapper is called of a module that has a name of its own, by that name."""
    found: dict[str, set[str]] = {}
    for each in nodes_in(source):
        if not isinstance(each, ast.Assign) or not isinstance(each.value, ast.Call):
            continue
        targets = each.targets[0].elts if isinstance(each.targets[0], ast.Tuple) else each.targets
        name = ast.unparse(each.value.func).rpartition(".")[2]
        given = each.value.args
        if name in _UNWRAPS:
            targets, given = given[:1], each.targets[:1]
        if name in (*_WRAPS, *_UNWRAPS) and len(targets) <= len(given):
            for inner, outer in zip(given, targets, strict=False):
                if isinstance(inner, ast.Name) and isinstance(outer, ast.Name):
                    found.setdefault(inner.id, set()).add(outer.id)
    return {old: new for old, (new, *more) in found.items() if not more and new != old}


def _inner(function: ast.expr) -> ast.expr | None:
    """``model`` of ``model.module`` and of ``model.module.forward``; None for any other."""
    if isinstance(function, ast.Attribute) and function.attr == "forward":
        function = function.value
    if isinstance(function, ast.Attribute) and function.attr == "module":
        return function.value
    return None


def outside_no_sync(trace: Trace, backward: Location, step: Location) -> Help | None:
    """Take the ``with model.no_sync()`` around a backward away, where a step follows each time; in
    the turns in which one does, where it is under a condition."""
    if backward.file != step.file:
        return None
    source = trace.sources.get(step.file, "")
    block = Block(source, step.file, backward.line, step.line)
    at, end = block.index(backward.line), block.index(step.line)
    statement = block.statements[at] if at is not None else None
    if not isinstance(statement, ast.With) or end is None or len(statement.items) != 1:
        return None
    guard = statement.items[0].context_expr
    named = guard.func if isinstance(guard, ast.Call) else None
    if not isinstance(named, ast.Attribute) or named.attr != "no_sync":
        return None
    stepping = block.statements[end]
    if isinstance(stepping, ast.If) and not stepping.orelse:
        bound = {name for each in block.statements[at or 0 : end] for name in bound_names(each)}
        plain = _null_context(source)
        read = {each.id for each in ast.walk(stepping.test) if isinstance(each, ast.Name)}
        if plain and not bound & read:
            lines = block.text(statement)
            old = ast.get_source_segment(source, guard) or ""
            test = ast.get_source_segment(source, stepping.test) or ""
            new = lines.replace(old, f"{plain} if {test} else {old}", 1)
            text = message("repairs.wrapped.no_sync_but", test=test)
            return block.help(text, [Edit.of(statement, new)])
    elif not isinstance(stepping, ast.Expr):
        return None
    body = "".join(block.lines[statement.body[0].lineno - 1 : statement.end_lineno])
    body = textwrap.indent(textwrap.dedent(body), " " * statement.col_offset)
    edit = Edit.of(statement, body)
    key = "no_sync" if isinstance(stepping, ast.Expr) else "no_sync_at_all"
    return block.help(message(f"repairs.wrapped.{key}"), [edit])


def _null_context(source: str) -> str:
    """How the file can call a block that does nothing; "" where it has not imported it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(e.name == "contextlib" for e in node.names):
            return "contextlib.nullcontext()"
        if isinstance(node, ast.ImportFrom) and any(e.name == "nullcontext" for e in node.names):
            return "nullcontext()"
    return ""

"""Repairs of ranks that go different ways: let them decide together, or wait for the last one."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.rules.repair.ranks.bodies import number
from graphlab.rules.repair.ranks.replicas import imported, wrapper_names, wrapper_of
from graphlab.source.blocks import bound_names, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_LEAVES = ast.Continue | ast.Break | ast.Return


def decided_together(trace: Trace, at: Location | None) -> Help | None:
    """Let all ranks take the ``if`` at a line, which passes over the rest, where one of them does:
    of a condition that each computes for itself, or an ``except``."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is not None and isinstance(statement, ast.Try):
        return _caught_together(file, statement)
    if file is None or not isinstance(statement, ast.If) or not file.body(statement):
        return None
    dist = imported(file.source).get("torch.distributed")
    torch = file.torch()
    passes = statement.body and isinstance(statement.body[-1], _LEAVES) and not statement.orelse
    name = free_name(file, "any_rank", "any_rank_does", "any_of_the_ranks")
    if (
        dist is None
        or torch is None
        or torch[1]
        or not passes
        or not name
        or "rank" in file.text(statement.test)
    ):
        return None
    place, indent = file.whole(statement)[0], " " * statement.col_offset
    test = file.text(statement.test)
    text = (
        f"{indent}{name} = {number(file, statement, f'float({test})')}\n"
        f"{indent}{dist}.all_reduce({name}, op={dist}.ReduceOp.MAX)\n"
    )
    return file.help(
        message("repairs.together.decided", test=test),
        (place, place, text), (*file.span(statement.test), name),
    )  # fmt: skip


def _caught_together(file: Rewriting, statement: ast.Try) -> Help | None:
    """Let all ranks pass over the rest where one of them has caught something."""
    dist, torch = imported(file.source).get("torch.distributed"), file.torch()
    name = free_name(file, "any_rank", "any_rank_does", "any_of_the_ranks")
    if dist is None or torch is None or torch[1] or not name or not file.body(statement):
        return None
    if len(statement.handlers) != 1 or statement.orelse or statement.finalbody:
        return None
    handler = statement.handlers[0]
    leaving = [each for each in ast.walk(statement) if isinstance(each, _LEAVES)]
    if leaving != [handler.body[-1]] or not file.body(leaving[0]):
        return None
    start, end = file.whole(statement)
    indent = " " * statement.col_offset
    after = (
        f"{indent}{dist}.all_reduce({name}, op={dist}.ReduceOp.MAX)\n"
        f"{indent}if {name}:\n{indent}    {file.text(leaving[0])}\n"
    )
    test = f"except {file.text(handler.type)}" if handler.type is not None else "except"
    return file.help(
        message("repairs.together.caught", test=test),
        (start, start, f"{indent}{name} = {number(file, statement, '0.0')}\n"),
        (*file.span(leaving[0]), f"{name} += 1"),
        (end, end, after),
    )  # fmt: skip


def averaged_first(trace: Trace, at: Location | None) -> Help | None:
    """Average the number that is the only argument of the call at a line, such as the validation's
    loss of a ``scheduler.step(loss)``, over the ranks."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if file is None or statement is None or not isinstance(call, ast.Call):
        return None
    given = [*call.args, *(each.value for each in call.keywords)]
    dist, torch = imported(file.source).get("torch.distributed"), file.torch()
    name = free_name(file, "on_all_ranks", "of_all_ranks")
    if len(given) != 1 or dist is None or torch is None or torch[1] or not file.body(statement):
        return None
    value = file.text(given[0])
    place, indent = file.whole(statement)[0], " " * statement.col_offset
    text = (
        f"{indent}{name} = {number(file, statement, f'float({value})')}\n"
        f"{indent}{dist}.all_reduce({name})\n"
    )
    mean = f"{name}.item() / {dist}.get_world_size()"
    return file.help(
        message("repairs.together.averaged", value=value),
        (place, place, text), (*file.span(given[0]), mean),
    ) if name else None  # fmt: skip


def decided_by_the_mean(trace: Trace, at: Location | None) -> Help | None:
    """Average a number over the ranks before the ``if`` that decides by it which value a name gets,
    of what the line assigns or restores: ``if kl > target: lr = …`` before ``group["lr"] = lr``, or
    ``if loss < best: kept = …`` before ``model.load_state_dict(kept)``."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or not isinstance(statement, ast.Assign | ast.Expr):
        return None
    dist, torch = imported(file.source).get("torch.distributed"), file.torch()
    name = free_name(file, "on_all_ranks", "of_all_ranks")
    wanted, within = read_names(statement.value), file.function(statement) or file.tree
    # Of what is restored, all that was computed in this turn; else what was right before it.
    near = None if isinstance(statement, ast.Expr) else -2
    deciding = [
        each
        for each in ast.walk(within)
        if isinstance(each, ast.If)
        and wanted & bound_names(each)
        and each.lineno < statement.lineno
    ]
    if dist is None or torch is None or torch[1] or not name or not deciding:
        return None
    first = min(deciding, key=lambda each: each.lineno)
    body = file.body(first)
    before = body[: body.index(first)] if body else []
    # What was computed there is this rank's own.
    own = sorted(
        read_names(first.test) & {each for one in before[near:] for each in bound_names(one)}
    )
    if len(own) != 1 or "rank" in file.text(first.test):
        return None
    place, indent = file.whole(first)[0], " " * first.col_offset
    # A tensor is read as one.
    item = "" if f"{own[0]}.item()" in file.text(first) else ".item()"
    text = (
        f"{indent}{name} = {number(file, first, f'float({own[0]})')}\n"
        f"{indent}{dist}.all_reduce({name})\n"
        f"{indent}{own[0]} = {name}{item} / {dist}.get_world_size()\n"
    )
    return file.help(message("repairs.together.averaged", value=own[0]), (place, place, text))


def free_name(file: Rewriting, *names: str) -> str:
    """The first of the names that the file does not use."""
    taken = {getattr(each, "id", "") for each in ast.walk(file.tree)}
    return next((each for each in names if each not in taken), "")


def joined(trace: Trace, loop: Location | None) -> Help | None:
    """Put the loop at a line, of which some ranks have more turns, under ``with model.join():``."""
    file = Rewriting.of(trace, loop)
    statement = file.statement(loop.line) if file is not None and loop is not None else None
    if file is None or not isinstance(statement, ast.For) or not file.body(statement):
        return None
    name = wrapper_of(trace, statement, file)
    if not name or any("join" in file.text(each) for each in _guards(file, statement)):
        return None
    return file.help(
        message("repairs.together.joined", name=name),
        file.under(f"with {name}.join()", statement, statement),
    )


def past_the_wrapper(trace: Trace, at: Location | None) -> Help | None:
    """Evaluate the module itself where one rank alone does: the forward of the wrapper, at a line,
    sends buffers to all. The wrapper is called there, or given to the function around."""
    file = Rewriting.of(trace, at)
    calling = file.statement(at.line) if file is not None and at is not None else None
    if file is None or calling is None:
        return None
    inside = file.function(calling)
    names = wrapper_names(trace, file)
    places: list[ast.expr] = []
    for call in ast.walk(file.tree):
        if not isinstance(call, ast.Call):
            continue
        if calling.lineno <= call.lineno <= (calling.end_lineno or 0):
            places.append(call.func)
        elif inside is not None and ast.unparse(call.func).rpartition(".")[2] == inside.name:
            places += [*call.args, *(each.value for each in call.keywords)]
    ends = [file.span(each)[1] for each in places if file.text(each) in names]
    edits = [(end, end, ".module") for end in ends]
    if len(edits) != 1:
        return None
    return file.help(message("repairs.together.module"), *edits)


def called_before_leaving(
    trace: Trace, at: Location | None, condition: Location | None
) -> Help | None:
    """Let the ranks that leave by an ``if`` about the rank make the call at a line too."""
    file = Rewriting.of(trace, condition)
    if file is None or at is None or condition is None or at.file != file.file:
        return None
    statement, calling = file.statement(condition.line), file.statement(at.line)
    if not isinstance(statement, ast.If) or not isinstance(calling, ast.Expr):
        return None
    leaving = statement.body[-1]
    if "rank" not in file.text(statement.test).lower() or not isinstance(leaving, _LEAVES):
        return None
    if file.function(statement) is not file.function(calling) or not file.body(leaving):
        return None
    place = file.whole(leaving)[0]
    call = file.text(calling)
    text = f"{' ' * leaving.col_offset}{call}\n"
    test = file.text(statement.test)
    return file.help(
        message("repairs.together.before_leaving", call=call, test=test), (place, place, text)
    )


def _guards(file: Rewriting, statement: ast.stmt) -> list[ast.expr]:
    around = (each for each in file.around(statement) if isinstance(each, ast.With))
    return [item.context_expr for each in around for item in each.items]

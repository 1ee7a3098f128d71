"""Repairs of what the ranks give to a collective, which is to be alike: as many calls, in one
order."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.rules.repair.ranks.bodies import number
from graphlab.rules.repair.ranks.replicas import imported
from graphlab.rules.repair.ranks.together import free_name
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_SETS = ("set", "frozenset")
_PARAMETERS = re.compile(r"([\w.]+)\.parameters\(\)")
# What goes through its argument, turn by turn.
_THROUGH = ("enumerate", "tqdm", "iter")


def gradients_for_all(trace: Trace, at: Location | None) -> Help | None:
    """Give the parameters that a rank did not use a gradient of zeros, where a loop averages those
    that are not None."""
    file = Rewriting.of(trace, at)
    averaging = file.statement(at.line) if file is not None and at is not None else None
    torch = file.torch() if file is not None else None
    if file is None or averaging is None or torch is None or torch[1]:
        return None
    loop = next((each for each in file.around(averaging) if isinstance(each, ast.For)), None)
    if loop is None or not file.body(loop.body[0]):
        return None
    names = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
    for each in loop.body:
        asked = {
            ast.unparse(n.left.value)
            for n in (ast.walk(each.test) if isinstance(each, ast.If) else ())
            if isinstance(n, ast.Compare)
            and isinstance(n.left, ast.Attribute)
            and n.left.attr == "grad"
            and ast.unparse(n.comparators[0]) == "None"
        }
        if len(asked) == 1 and asked <= names and each.lineno <= averaging.lineno:
            name = asked.pop()
            place, indent = file.whole(loop.body[0])[0], " " * loop.body[0].col_offset
            text = (
                f"{indent}if {name}.requires_grad and {name}.grad is None:\n"
                f"{indent}    {name}.grad = {torch[0]}.zeros_like({name})\n"
            )
            return file.help(message("repairs.evened.zeros"), (place, place, text))
    return None


def in_one_order(trace: Trace, at: Location | None) -> Help | None:
    """Sort the set that the loop around a line goes through: each process has an order of its own
    of the strings in it."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return None
    for loop in file.around(statement):
        if isinstance(loop, ast.For) and _is_set(file, loop.iter):
            name = file.text(loop.iter)
            edit = (*file.span(loop.iter), f"sorted({name})")
            return file.help(message("repairs.evened.sorted", name=name), edit)
    return None


def in_order_of_names(trace: Trace, at: Location | None) -> Help | None:
    """Go through the parameters of modules in the order of their names, in each loop of the file
    that exchanges them, as the one around a line does."""
    file = Rewriting.of(trace, at)
    dist = imported(file.source).get("torch.distributed") if file is not None else None
    if file is None or at is None or dist is None:
        return None
    loops = [
        each
        for each in ast.walk(file.tree)
        if isinstance(each, ast.For)
        and _PARAMETERS.fullmatch(file.text(each.iter))
        and f"{dist}." in "".join(map(file.text, each.body))
    ]
    if not any(each.lineno <= at.line <= (each.end_lineno or 0) for each in loops):
        return None
    edits: list[tuple[int, int, str]] = []
    for each in loops:
        named = _PARAMETERS.sub(r"\1.named_parameters()", file.text(each.iter))
        edits.append((*file.span(each.iter), f"dict(sorted({named})).values()"))
    return file.help(message("repairs.evened.names"), *edits)


def _is_set(file: Rewriting, value: ast.expr) -> bool:
    if isinstance(value, ast.Name):
        given = [
            each.value
            for each in ast.walk(file.tree)
            if isinstance(each, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == value.id for t in each.targets)
        ]
        return len(given) == 1 and not isinstance(given[0], ast.Name) and _is_set(file, given[0])
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _SETS
    return isinstance(value, ast.Set | ast.SetComp)


def as_many_turns(trace: Trace, at: Location | None) -> Help | None:
    """Give the loop at a line as many turns on each rank as the rank with the fewest has."""
    file = Rewriting.of(trace, at)
    loop = file.statement(at.line) if file is not None and at is not None else None
    if file is None or not isinstance(loop, ast.For) or not file.body(loop):
        return None
    dist, torch = imported(file.source).get("torch.distributed"), file.torch()
    name = free_name(file, "turns", "fewest_turns")
    over = loop.iter
    call = ast.unparse(over.func).rpartition(".")[2] if isinstance(over, ast.Call) else ""
    given = over.args if isinstance(over, ast.Call) else []
    if dist is None or torch is None or torch[1] or not name:
        return None
    edits: list[tuple[int, int, str]] = []
    if call == "range" and len(given) == 1:
        count, new = file.text(given[0]), f"range(int({name}))"
    elif not call or (call in _THROUGH and given):
        count = f"len({file.text(given[0] if given else over)})"
        new = f"itertools.islice({file.text(over)}, int({name}))"
        if "itertools" not in imported(file.source):
            first = _first_import(file)
            edits.append((first, first, "import itertools\n"))
    else:
        return None
    place, indent = file.whole(loop)[0], " " * loop.col_offset
    text = (
        f"{indent}{name} = {number(file, loop, count)}\n"
        f"{indent}{dist}.all_reduce({name}, op={dist}.ReduceOp.MIN)\n"
    )
    return file.help(
        message("repairs.evened.turns"),
        *edits, (place, place, text), (*file.span(over), new),
    )  # fmt: skip


def _first_import(file: Rewriting) -> int:
    """Where the first import of the file stands, but for those of the future."""
    for each in file.tree.body:
        future = isinstance(each, ast.ImportFrom) and each.module == "__future__"
        if isinstance(each, ast.Import | ast.ImportFrom) and not future:
            return file.whole(each)[0]
    return 0

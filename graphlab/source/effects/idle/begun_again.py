"""Finds what a loop over epochs throws away in each turn: the network itself, or a library's store
of parameters."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from graphlab.source.places import parse, place
from graphlab.trace.values import Location

# What gives new parameters the values of others, or keeps the old ones.
_KEEPS = re.compile(
    r"load_|\bload\(|deepcopy|copy_|state_dict|append|clone|average|best", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class BegunAgain:
    """The statement at `at` in a loop over epochs, at `loop`, makes `name` anew, or clears the
    store that has all parameters, where `name` is the call. fits: a call that makes the network
    anew and trains it."""

    at: Location
    loop: Location
    name: str
    store: bool
    fits: bool = False


def begun_again(file: str, source: str, step: int, fits: bool = False) -> BegunAgain | None:
    """The one such statement in the loops around line `step`, which itself makes what it trains
    where it `fits`; None where there is none, or where the loop says that something is kept."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    for loop in ast.walk(tree):
        if not isinstance(loop, ast.For) or not loop.lineno < step <= (loop.end_lineno or 0):
            continue
        text = ast.get_source_segment(source, loop) or ""
        if "epoch" not in ast.unparse(loop.target).lower() or _KEEPS.search(text):
            continue
        found = [each for each in map(_thrown_away, loop.body) if each is not None]
        if fits:
            found = [each for each in map(_call, loop.body) if each and step in _lines(each[0])]
        made = [(node, name) for node, name, store in found if not store and _trained(name, loop)]
        cleared = [(node, name) for node, name, store in found if store]
        if len(cleared) == 1 or (not cleared and len(made) == 1):
            ((node, name),) = cleared or made
            where = ast.copy_location(ast.Pass(), loop)
            where.end_lineno = loop.lineno
            return BegunAgain(
                place(node, file, source=source),
                place(where, file, source=source),
                name,
                bool(cleared),
                fits,
            )
    return None


def drawn_again(file: str, line: int) -> BegunAgain | None:
    """The statement at `line` that is but a call, ``model.reset_parameters()``, and stands as it is
    in the body of a loop over epochs that says nowhere that anything is kept."""
    tree = parse(file)
    for loop in ast.walk(tree) if tree is not None else ():
        if not isinstance(loop, ast.For) or "epoch" not in ast.unparse(loop.target).lower():
            continue
        for node in loop.body:
            inside = node.lineno <= line <= (node.end_lineno or 0)
            if inside and isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                if _KEEPS.search(ast.unparse(loop)):
                    return None
                where = ast.copy_location(ast.Pass(), loop)
                where.end_lineno = loop.lineno
                name = f"{ast.unparse(node.value.func)}()"
                return BegunAgain(place(node, file), place(where, file), name, True)
    return None


def _thrown_away(node: ast.stmt) -> tuple[ast.stmt, str, bool] | None:
    value = getattr(node, "value", None)
    if not isinstance(value, ast.Call):
        return None
    called = ast.unparse(value.func)
    if isinstance(node, ast.Expr) and called.rpartition(".")[2] == "clear_param_store":
        return node, f"{called}()", True
    made = isinstance(node, ast.Assign) and called.rpartition(".")[2][:1].isupper()
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return (node, target.id, False) if made and isinstance(target, ast.Name) else None


def _call(node: ast.stmt) -> tuple[ast.stmt, str, bool] | None:
    """A statement that is but a call: what it gives is not kept."""
    call = node.value if isinstance(node, ast.Expr) else None
    return (node, f"{ast.unparse(call.func)}()", True) if isinstance(call, ast.Call) else None


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _trained(name: str, loop: ast.For) -> bool:
    """Whether the loop itself gives the parameters of `name` to something that it makes."""
    return any(
        isinstance(node, ast.Assign) and f"{name}.parameters()" in ast.unparse(node.value)
        for node in loop.body
    )

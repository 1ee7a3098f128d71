"""Decides which of a variable's bindings may have given it the value that it has at some place."""

from __future__ import annotations

import ast

from graphlab.observe.origins.bindings import FUNCTIONS, Binding, around
from graphlab.observe.origins.context import Context
from graphlab.observe.origins.times import Times

_BLOCKS = ("body", "orelse", "finalbody", "handlers")


def reaching(
    every: list[Binding], node: ast.AST, context: Context, times: Times | None
) -> list[Binding]:
    """Those of one scope's bindings of a name that may reach `node`, the last first."""
    use = node if hasattr(node, "lineno") else context.use
    here = [use, *around(use, context.file)]
    if context.scope not in here:
        # The use is in a function inside this scope, which may be called after all of it has run.
        here = []
    inside = _comprehended(every, here)
    if inside:
        return inside
    every = [each for each in every if not isinstance(each.node, ast.comprehension)]
    if not here or isinstance(use, (*FUNCTIONS, ast.Module, ast.Lambda)):
        here = [context.scope]
        place = (10**9, 0)
    else:
        place = _place(use)
    first = _dominating(every, here, place, context.file)
    found = [
        each
        for each in every
        if _before(each, place, here) and (first is None or _place(each.node) >= _place(first.node))
    ]
    for loop in here:
        if not isinstance(loop, ast.For | ast.AsyncFor | ast.While):
            continue
        if first is not None and (first.node is loop or _within(first.node, loop, context.file)):
            break
        found += [
            each
            for each in every
            if each not in found
            and _within(each.node, loop, context.file)
            and not _before(each, place, here)
        ]
    found.sort(key=lambda each: _place(each.node), reverse=True)
    return _last_run(found, context, times) if times is not None else found


def _last_run(found: list[Binding], context: Context, times: Times) -> list[Binding]:
    """Of several assignments, the one that ran last, and what was put into that since."""
    when = {id(each): times.last(context.file, getattr(each.node, "lineno", 0)) for each in found}
    whole = [each for each in found if _is_whole(each)]
    known = [each for each in whole if when[id(each)] >= 0]
    if len(whole) < 2 or not known:
        return found
    last = max(known, key=lambda each: when[id(each)])
    return [each for each in found if each is last or each not in whole]


def _is_whole(each: Binding) -> bool:
    return not each.put and not isinstance(each.value, ast.AugAssign)


def _place(node: ast.AST) -> tuple[int, int]:
    if isinstance(node, ast.withitem):
        node = node.context_expr
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _before(each: Binding, place: tuple[int, int], here: list[ast.AST]) -> bool:
    """Whether a binding's statement is above the use; its own right side is not."""
    if each.node in here:
        # A loop's variable is bound before the loop's body, and a with's before the block.
        return isinstance(each.node, ast.For | ast.AsyncFor) and _in_body(each.node, here)
    return _place(each.node) < place


def _in_body(loop: ast.AST, here: list[ast.AST]) -> bool:
    return any(each in getattr(loop, "body", []) for each in here)


def _within(node: ast.AST, loop: ast.AST, file: str) -> bool:
    return any(each is loop for each in around(node, file))


def _comprehended(every: list[Binding], here: list[ast.AST]) -> list[Binding]:
    """The binding of a comprehension's own variable that the use is inside of."""
    for outer in here:
        parts = getattr(outer, "generators", [])
        found = [each for each in every if each.node in parts]
        if found:
            return found
    return []


def _dominating(
    every: list[Binding], here: list[ast.AST], place: tuple[int, int], file: str
) -> Binding | None:
    """The last binding that runs on every way to the use."""
    best: Binding | None = None
    for each in every:
        if not _is_whole(each) or not _before(each, place, here):
            continue
        if not _on_every_way(each.node, here, file):
            continue
        if best is None or _place(each.node) >= _place(best.node):
            best = each
    return best


def _on_every_way(node: ast.AST, here: list[ast.AST], file: str) -> bool:
    if isinstance(node, ast.For | ast.AsyncFor) and _in_body(node, here):
        return True
    chain = [node, *around(node, file)]
    for at, each in enumerate(chain):
        if isinstance(each, ast.withitem):
            continue
        if not isinstance(each, ast.stmt):
            continue
        if isinstance(each, ast.For | ast.AsyncFor | ast.While | ast.If) and each is not node:
            return False
        if at + 1 >= len(chain):
            return True
        block = next(
            (
                part
                for name in _BLOCKS
                if each in (part := getattr(chain[at + 1], name, None) or [])
            ),
            [],
        )
        if any(sibling in here for sibling in block) or chain[at + 1] in here[:1]:
            return True
        if chain[at + 1] is here[-1] or isinstance(chain[at + 1], ast.Module):
            return True
        if not isinstance(chain[at + 1], ast.With | ast.AsyncWith | ast.Try):
            return False
    return True

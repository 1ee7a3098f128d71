"""Repair of weights that are one constant: random ones in their place."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import EqualUnits

_OF_INIT = ("constant_", "ones_", "zeros_")
_IN_PLACE = ("fill_", "zero_")


def drawn_instead(trace: Trace, each: EqualUnits) -> Help | None:
    """``nn.init.xavier_uniform_(m.weight)`` for ``nn.init.constant_(m.weight, 0.01)`` and for
    ``m.weight.data.fill_(0.01)``."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    if file is None or not isinstance(statement, ast.Expr):
        return None
    call = statement.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    held = call.func.value
    if call.func.attr in _OF_INIT and call.args:
        init, weights = file.text(held), call.args[0]
    elif call.func.attr in _IN_PLACE and _has_torch(file.tree):
        init, weights = "torch.nn.init", held
        if isinstance(held, ast.Attribute) and held.attr == "data":
            weights = held.value
    else:
        return None
    if not ast.unparse(weights).endswith("weight"):
        # A loop over all parameters writes to the biases too, which cannot be drawn so.
        return None
    text = f"{init}.xavier_uniform_({file.text(weights)})"
    return file.help(message("repairs.trained.drawn"), (*file.span(call), text))


def _has_torch(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Import) and any(one.name == "torch" for one in node.names)
        for node in tree.body
    )

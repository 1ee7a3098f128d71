"""Repair of a state that is detached at each step: handed on with its graph."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.effects.detached import detaches_around
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import StatesCut


def carried(trace: Trace, each: StatesCut) -> Help | None:
    """``cell(x, h)`` for ``cell(x, h.detach())``; of ``h = h.detach()``, nothing is left."""
    file = Rewriting.of(trace, each.at)
    if file is None or each.at is None:
        return None
    edits: list[tuple[int, int, str]] = []
    for at in (each.at, *each.others):
        told = [one for one in detaches_around(file.tree, at.line) if file.is_at(one.node, at)]
        if len(told) != 1:
            return None
        statement, node, of = told[0].statement, told[0].node, told[0].of
        if any(isinstance(around, ast.comprehension) for around in ast.walk(statement)):
            # ``tuple(s.detach() for s in state)``: what it is made of is not `of`.
            node = _made_of(statement)
            if node is None:
                return None
        alone = isinstance(statement, ast.Assign | ast.Expr) and statement.value is node
        written = statement.targets if isinstance(statement, ast.Assign) else []
        itself = [ast.unparse(target) for target in written] == [ast.unparse(of)]
        if alone and (itself or isinstance(statement, ast.Expr)):
            if len(file.body(statement)) < 2:
                return None
            edits.append((*file.whole(statement), ""))
        else:
            edits.append((*file.span(node), file.text(of)))
    return file.help(message("repairs.trained.state", name=each.state), *edits)


def _made_of(statement: ast.stmt) -> ast.expr | None:
    """What a statement stores, where that is a state whose parts are detached and nothing else."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    inner = value
    if isinstance(value, ast.Call) and len(value.args) == 1 and ast.unparse(value.func) == "tuple":
        inner = value.args[0]
    told = isinstance(inner, ast.GeneratorExp | ast.ListComp) and len(inner.generators) == 1
    return value if told else None

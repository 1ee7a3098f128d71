"""Repairs of a loss of what was chosen from scores, which has no graph: it is one of the scores, or
of the probabilities, themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_CHOOSING = ("argmax", "max", "topk")
_NORMALIZING = ("softmax", "log_softmax", "sigmoid")
_WHOLE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
# What labels are cast by, after they were chosen or before they are compared.
_CASTING = ("float", "double", "long", "int", "type", "to", "requires_grad_", "view", "squeeze")


def scores_instead(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``criterion(logits, y)`` for ``criterion(logits.softmax(1).argmax(1).float(), y.float())``,
    where the criterion is a cross entropy: the labels were chosen in the statement at `at`."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or hasattr(statement, "body"):
        return
    found = [(node, each) for node in ast.walk(statement) for each in _chosen_from(node)]
    if len(found) != 1:
        return
    node, scores = found[0]
    for call in _cross_entropies(file, statement):
        given = call.args[0]
        direct = node in ast.walk(given)
        if not direct and not _is_bound(statement, _uncast(given)):
            continue
        edits = [*_named(file, statement, scores, direct)]
        text = "scores" if edits else file.text(scores)
        edits.append((*file.span(given), text))
        target = _uncast(call.args[1])
        if target is not call.args[1] and isinstance(call.args[1], ast.Call):
            edits.append((*file.span(call.args[1]), file.text(target)))
        help = file.help(message("repairs.tried.scores", line=call.lineno), *edits)
        if help is not None:
            yield help


def _chosen_from(node: ast.AST) -> Iterator[ast.expr]:
    """What ``x.argmax(1)``, ``torch.argmax(x, 1)``, ``x.max(1)[1]`` choose from, as scores that no
    softmax has been over."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        if node.slice.value != 1:
            return
        call, names = node.value, _CHOOSING[1:]
    elif isinstance(node, ast.Attribute) and node.attr == "indices":
        call, names = node.value, _CHOOSING[1:]
    else:
        call, names = node, _CHOOSING[:1]
    given = _given(call, names)
    if given is not None:
        yield _given(given, _NORMALIZING) or given


def _given(node: ast.AST, names: tuple[str, ...]) -> ast.expr | None:
    """What ``x.name(…)`` or ``torch.name(x, …)`` is computed from."""
    func = node.func if isinstance(node, ast.Call) else None
    if not isinstance(node, ast.Call) or not isinstance(func, ast.Attribute):
        return None
    if func.attr not in names:
        return None
    if ast.unparse(func.value) in ("torch", "F", "nn.functional", "torch.nn.functional"):
        return node.args[0] if node.args else None
    return func.value


def _uncast(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr not in _CASTING or isinstance(node.func.value, ast.Call):
            break
        node = node.func.value
    return node


def _is_bound(statement: ast.stmt, node: ast.expr) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return isinstance(node, ast.Name) and any(
        isinstance(each, ast.Name) and each.id == node.id for each in targets
    )


def _cross_entropies(file: Rewriting, statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls of a cross entropy in the statement, or in one that comes after it in its body."""
    body = file.body(statement)
    for each in body[body.index(statement) :] if body else ():
        for node in ast.walk(each):
            if isinstance(node, ast.Call) and len(node.args) == 2 and _is_cross_entropy(file, node):
                yield node


def _is_cross_entropy(file: Rewriting, call: ast.Call) -> bool:
    func = ast.unparse(call.func)
    if func.rsplit(".", 1)[-1] == "cross_entropy":
        return True
    name = func.removeprefix("self.")
    made = [
        ast.unparse(node.value.func)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and name in (ast.unparse(each).removeprefix("self.") for each in node.targets)
    ]
    return bool(made) and all(each.endswith("CrossEntropyLoss") for each in made)


def _named(
    file: Rewriting, statement: ast.stmt, scores: ast.expr, direct: bool
) -> Iterator[tuple[int, int, str]]:
    """The edits that give the scores a name, where the labels are computed from a call: the network
    is not to run twice."""
    plain = not any(isinstance(each, ast.Call) for each in ast.walk(scores))
    if plain or direct or "scores" in file.source:
        return
    start, _ = file.whole(statement)
    indent = " " * statement.col_offset
    yield start, start, f"{indent}scores = {file.text(scores)}\n"
    yield *file.span(scores), "scores"


def probabilities_instead(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``prob`` for ``(prob > 0.5).float()``, and ``logits.sigmoid()`` for ``(logits > 0).float()``,
    where the statement at `at` has one such comparison and it lost the graph."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or at is None or statement is None or hasattr(statement, "body"):
        return
    found = [each for each in ast.walk(statement) if isinstance(each, ast.Compare)]
    if len(found) != 1 or not file.is_at(found[0], at):
        return
    node = found[0]
    limit = node.comparators[0]
    value = limit.value if isinstance(limit, ast.Constant) else None
    if not isinstance(node.ops[0], ast.Gt | ast.GtE) or value not in (0, 0.5):
        return
    # A cast of the truth to numbers, which the loss computes with.
    whole = next((each for each in ast.walk(statement) if _casts(each, node)), None)
    if whole is None:
        return
    text = file.text(node.left)
    if value == 0:
        text = f"{text}.sigmoid()" if isinstance(node.left, _WHOLE) else f"({text}).sigmoid()"
    elif not _is_probability(file, node.left):
        return
    help = file.help(message("repairs.tried.probabilities"), (*file.span(whole), text))
    if help is not None:
        # Scores that are compared with 0 may be meant for another function than a sigmoid.
        meant = message("fix.meant.threshold", name=file.text(node.left))
        yield replace(help, choice=meant if value == 0 else "")


def _casts(node: ast.AST, inner: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("float", "double", "to", "type")
        and node.func.value is inner
    )


def _is_probability(file: Rewriting, node: ast.expr) -> bool:
    """Whether it is a sigmoid or a softmax, or a variable that is only given those."""
    if isinstance(node, ast.Name):
        values = [
            each.value
            for each in ast.walk(file.tree)
            if isinstance(each, ast.Assign)
            and any(ast.unparse(target) == node.id for target in each.targets)
        ]
        return bool(values) and all(
            not isinstance(each, ast.Name) and _is_probability(file, each) for each in values
        )
    return any(
        isinstance(each, ast.Call) and _given(each, ("sigmoid", "softmax")) is not None
        for each in ast.walk(node)
    )

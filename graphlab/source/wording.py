"""Finds the user's own words for a loss, a call, an operand or a write, for use in messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from graphlab.language import message
from graphlab.source.places import parse, source_line, statement_at
from graphlab.source.vocabulary import ALIASES, LIBRARIES
from graphlab.trace.model import Location

# What a loss is called that the user has no word for.
THE_LOSS = "the loss"
# A longer expression is shortened in sentences.
_LONG = 40


def call_text(at: Location | None, fallback: str, direct: bool = True) -> tuple[str, str]:
    """The backward call at `at` without its arguments, and the loss in it; `direct` as for
    `loss_in`.

    For instance ``("G_loss.backward()", "G_loss")``; `fallback` is used if there is no source.
    """
    call = call_at(at) if at is not None else None
    if call is None:
        return f"{fallback}()", fallback
    func = ast.unparse(call.func)
    loss = loss_in(call, direct)
    if loss is None and direct:
        loss = _first_argument(call, "outputs")
    return f"{func}()", ast.unparse(loss) if loss is not None else fallback if direct else THE_LOSS


def loss_in(call: ast.Call, direct: bool = True) -> ast.expr | None:
    """The loss in a call that runs a backward. `direct`: it is torch's own; else a library's or a
    helper's, as in ``accelerator.backward(loss)``, and the loss is what that is given."""
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else ast.unparse(func)
    if name == "grad":
        return _first_argument(call, "outputs")
    if "backward" not in name:
        return None
    receiver = func.value if isinstance(func, ast.Attribute) else None
    own = receiver is not None and ast.unparse(receiver) not in ("torch.autograd", "autograd")
    if direct and receiver is not None and own and name == "backward":
        return _without_scaler(receiver)
    given = _first_argument(call, "tensors") or _first_argument(call, "loss")
    return _without_scaler(given) if given is not None else receiver if own else None


def short(node: ast.expr) -> str:
    """An expression in a sentence: as it is written, or the call that it is without its arguments
    where that is long."""
    text = ast.unparse(node)
    if len(text) <= _LONG:
        return text
    return f"{ast.unparse(node.func)}(…)" if isinstance(node, ast.Call) else THE_LOSS


def _without_scaler(node: ast.expr) -> ast.expr:
    """``loss`` of ``scaler.scale(loss)``; other nodes as they are."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "scale"
        and len(node.args) == 1
    ):
        return node.args[0]
    return node


def _first_argument(call: ast.Call, keyword: str) -> ast.expr | None:
    node = call.args[0] if call.args and not isinstance(call.args[0], ast.Starred) else None
    for word in call.keywords:
        if word.arg == keyword:
            node = word.value
    return node


@lru_cache(maxsize=4096)
def call_at(at: Location) -> ast.Call | None:
    tree = parse(at.file)
    best: ast.Call | None = None
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.Call) or node.lineno != at.line:
            continue
        text = source_line(at.file, at.line)
        column = len(text.encode()[: node.col_offset].decode(errors="ignore")) + 1
        if column != at.column:
            continue
        if node.end_lineno == at.line and node.end_col_offset is not None:
            end = len(text.encode()[: node.end_col_offset].decode(errors="ignore")) + 1
            if end == at.end_column:
                return node
        if best is None:
            best = node
    return best


def argument_at(at: Location | None) -> str | None:
    """The only variable passed to the call at `at`: ``features`` for ``torch.mm(features,
    features.t())``. None if there are several."""
    statement = statement_at(at.file, at.line) if at is not None else None
    if not isinstance(statement, ast.Assign | ast.Return) or statement.value is None:
        return None
    call = statement.value
    if not isinstance(call, ast.Call):
        return None
    names = set(_variables(call))
    return names.pop() if len(names) == 1 else None


_SIGNS: dict[str, type[ast.operator]] = {
    "Mul": ast.Mult, "Div": ast.Div, "Pow": ast.Pow, "Mm": ast.MatMult, "Mv": ast.MatMult,
    "Bmm": ast.MatMult, "Dot": ast.MatMult,
}  # fmt: skip


def operand_at(at: Location, operation: str, slot: str) -> str | None:
    """The variable that `operation` saved in `slot`: for ``y = x * w``, ``x`` for `self` and ``w``
    for `other`. None unless the line has exactly one such operator."""
    if slot.startswith("indices") or slot in ("mask", "condition"):
        return _selector_at(at, slot)
    sign = next((_SIGNS[n] for n in _SIGNS if re.fullmatch(n + r"Backward\d+", operation)), None)
    statement = statement_at(at.file, at.line) if sign is not None else None
    if sign is None or statement is None:
        return None
    fitting = [
        node
        for node in ast.walk(statement)
        if isinstance(node, ast.BinOp) and isinstance(node.op, sign)
    ]
    if len(fitting) != 1:
        return None
    operand = variable_behind(fitting[0].left if slot == "self" else fitting[0].right)
    return ast.unparse(operand) if isinstance(operand, ast.Name | ast.Attribute) else None


def _selector_at(at: Location, slot: str) -> str | None:
    """The variable that selects elements in a line: ``mask`` for ``h[mask] = x`` or for
    ``torch.where(mask, a, b)``."""
    statement = statement_at(at.file, at.line)
    found = set()
    for node in ast.walk(statement) if statement is not None else ():
        if slot.startswith("indices") and isinstance(node, ast.Subscript):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            found |= {ast.unparse(n) for n in parts if isinstance(n, ast.Name | ast.Attribute)}
        elif not slot.startswith("indices") and isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            if name.startswith(("masked_", "where")):
                found |= {ast.unparse(n) for n in _plain(node.args[0])}
    return found.pop() if len(found) == 1 else None


def _plain(node: ast.expr) -> list[ast.expr]:
    return [node] if isinstance(node, ast.Name | ast.Attribute) else []


def loop_variables(at: Location) -> set[str]:
    """The loop variables of the for-loops around a line."""
    tree = parse(at.file)
    return {
        name.id
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.For) and node.lineno <= at.line <= (node.end_lineno or 0)
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }


def grad_input_at(at: Location | None, index: int) -> str | None:
    """The input with this `index` of the autograd.grad() call at `at`: ``X[:, 0]``, index 0, for
    ``torch.autograd.grad(u, X[:, 0])``."""
    call = call_at(at) if at is not None else None
    if call is None:
        return None
    given = [word.value for word in call.keywords if word.arg == "inputs"] + call.args[1:2]
    if not given:
        return None
    several = given[0].elts if isinstance(given[0], ast.List | ast.Tuple) else given[:1]
    fits = index < len(several) and not any(isinstance(each, ast.Starred) for each in several)
    return ast.unparse(several[index]) if fits else None


def _variables(call: ast.Call) -> Iterator[str]:
    """The variables in the arguments of a call, nested calls and views included."""
    for arg in call.args:
        if isinstance(arg, ast.Call) and (arg.args or not isinstance(arg.func, ast.Attribute)):
            yield from _variables(arg)
        elif any(isinstance(each, ast.Name) for each in ast.walk(arg)):
            # A number such as -1 is an expression, and no variable.
            yield ast.unparse(variable_behind(arg))


def target_text(at: Location | None, direct: bool = True) -> str | None:
    """The variable that the statement at `at` writes in place: ``pred`` for ``pred[0] = …``,
    ``mask`` for ``mask.fill_(0)``, ``x`` for ``x = layer(x)``. If the write is not `direct` but
    happens inside a call, only the last form tells the variable."""
    statement = statement_at(at.file, at.line) if at is not None else None
    if not direct:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            only = _only_argument(statement.value)
            return only if only in [ast.unparse(each) for each in statement.targets] else None
        return None
    if isinstance(statement, ast.AugAssign):
        return ast.unparse(variable_behind(statement.target))
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        return ast.unparse(variable_behind(statement.targets[0]))
    calls = [
        node
        for node in (ast.walk(statement) if statement is not None else ())
        if isinstance(node, ast.Call)
    ]
    for call in calls:
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr.endswith("_"):
            return (
                ast.unparse(variable_behind(func.value))
                if not _is_module(func.value)
                else _only_argument(call)
            )
    for call in calls:
        for word in call.keywords:
            if word.arg == "out":
                return ast.unparse(variable_behind(word.value))
    return _only_argument(calls[0]) if len(calls) == 1 else None


def _is_module(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[0] in LIBRARIES


def _only_argument(call: ast.Call) -> str | None:
    plain = [arg for arg in call.args if isinstance(arg, ast.Name | ast.Attribute)]
    if len(plain) >= 1 and (len(call.args) == 1 or _is_module(call.func)):
        return ast.unparse(plain[0])
    return None


def variable_behind(node: ast.expr) -> ast.expr:
    """The variable that an expression of slices, `.data`, views and method calls starts from."""
    while True:
        into = isinstance(node, ast.Subscript) and not _is_key(node.slice)
        alias = isinstance(node, ast.Attribute) and node.attr in ALIASES
        if isinstance(node, ast.Subscript | ast.Attribute) and (into or alias):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            return node


def _is_key(node: ast.expr) -> bool:
    """Whether a subscript is a string, so that the subscripted object is a dict and no tensor."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def written_by(at: Location | None, by: str, direct: bool) -> str:
    """The write in the user's words: ``mask.fill_()``, ``h += …``, ``model.load_state_dict()``."""
    if at is None:
        return by
    statement = statement_at(at.file, at.line)
    if direct and by.endswith("="):
        return f"{target_text(at) or 'tensor'} {by} …"
    if by == "NumPy":
        return f"NumPy, {at.code}"
    if direct and by.startswith("["):
        return f"{target_text(at) or 'tensor'}{by}"
    if direct and by.startswith("."):
        return f"{target_text(at) or 'tensor'}{by}" if ".data" not in at.code else at.code
    call = call_at(at)
    if call is None and statement is not None:
        call = next((node for node in ast.walk(statement) if isinstance(node, ast.Call)), None)
    if call is None:
        return by
    text = f"{ast.unparse(call.func)}()"
    if direct or by.split("(")[0].split(".")[-1] in text:
        return text
    return message("observed.by.through", text=text, by=by)

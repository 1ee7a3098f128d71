"""Finds what the user calls the operands of an operation: from its line, and the frame's values."""

from __future__ import annotations

import ast
import dis
import inspect
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeGuard

import torch

from graphlab.language import message
from graphlab.observe.tensors import count_of, is_tensor, shape_of, storage_key
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import attributes, exactly
from graphlab.source.places import (
    expression_of,
    locate,
    nodes_of,
    parse,
    place,
    statement_at,
)
from graphlab.source.vocabulary import LIBRARIES
from graphlab.trace.model import Location

# A longer operand is cut.
_LONG = 60


class Turn(NamedTuple):
    """Of how many operations of its kind that one run of a line did an operation was which."""

    at: int
    of: int


# The place, among the operands as written, of what a node of the graph has saved under a name.
_PLACES = {"self": 0, "other": 1, "exponent": 1, "mat2": 1, "vec": 1, "tensor": 1}


def as_written(node: ast.expr) -> str:
    """An operand as the user wrote it; its beginning where it is long."""
    text = ast.unparse(node)
    if len(text) > _LONG and isinstance(node, ast.Call):
        text = f"{ast.unparse(node.func)}(…)"
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def expression_at(at: Location, frame: FrameType | None = None) -> ast.expr | None:
    """The expression that an instruction belongs to; of an assignment with an operator, None.
    `frame`: the one that is at that instruction, if it runs still."""
    if frame is not None:
        return expression_of(frame.f_code, frame.f_lasti)
    best: ast.expr | None = None
    for node in nodes_of(parse(at.file)):
        if not isinstance(node, ast.expr) or node.lineno != at.line:
            continue
        there = place(node, at.file)
        if (there.column, there.end_line, there.end_column) == (
            at.column, at.end_line, at.end_column,
        ):  # fmt: skip
            return node
        if there.column == at.column and best is None and (node.end_lineno or 0) > at.line:
            best = node
    return best


def operands(node: ast.AST | None) -> list[ast.expr]:
    """The operands of an expression, as written: ``a`` and ``b`` of ``a / b``, ``p`` of
    ``torch.log(p)`` and of ``p.log()``."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.Subscript):
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    given = [*node.args, *(each.value for each in node.keywords)]
    if isinstance(node.func, ast.Attribute) and not _is_library(node.func.value):
        return [node.func.value, *given]
    return given


def _is_number(node: ast.expr, frame: FrameType | None) -> bool:
    """Whether it is known to be a number of Python's: ``2 * (gamma - 1)``."""
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand, frame)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left, frame) and _is_number(node.right, frame)
    if isinstance(node, ast.Constant):
        return True
    return frame is not None and exactly(in_frame(node, frame), int, float)


def _is_library(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in LIBRARIES


def operand_text(
    at: Location,
    frame: FrameType | None,
    tensors: Sequence[Any],
    which: int,
    direct: bool,
    operation: str = "",
    slot: str = "",
    turn: Turn | None = None,
) -> str:
    """How the operand number `which` of the operation at `at` is written; "" where that is not
    certain. `direct`: the line calls the operation itself, and no function that does. Where `at` is
    a whole statement, `operation` is its name, `slot` that under which it has saved the operand,
    and `turn` as of a `Turn`."""
    node = expression_at(at, frame) if not operation else None
    node = node or only(at, operation, turn)
    if node is None and (quotient := _quotient(at, operation)) is not None:
        return as_written(quotient.right)
    node = node or _statement(at)
    if node is None or not 0 <= which < len(tensors):
        return ""
    written = operands(node)
    at_place = _PLACES.get(slot, len(written))
    if at_place < len(written) and is_written(node, operation) and _by_place(node):
        return as_written(written[at_place])
    value = tensors[which]
    if frame is not None:
        for each in written:
            if _same(in_frame(each, frame), value):
                return as_written(each)
    if not direct:
        return ""
    maybe = [each for each in written if not _is_number(each, frame)]
    if frame is not None:
        # What is known to be something else is not meant.
        others = [id(each) for at_, each in enumerate(tensors) if at_ != which]
        maybe = [each for each in maybe if not _known_other(each, frame, others)]
    by_place = not isinstance(node, ast.Call) or not node.keywords
    if len(written) == len(tensors) and len(written) > 1 and by_place:
        return as_written(written[which])
    return as_written(maybe[0]) if len(maybe) == 1 else ""


def written_as(operation: str, at: Location | None, frame: FrameType | None = None) -> str:
    """The name of an operation as the program has it: ``1 / x`` is a division, which torch computes
    by a reciprocal. `frame`: the one that runs it, if it runs still."""
    if operation != "reciprocal" or at is None:
        return operation
    node = expression_at(at, frame) if frame is not None else _quotient(at, operation)
    return "div" if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else operation


def _quotient(at: Location, operation: str) -> ast.BinOp | None:
    """The one division of the statement at `at`, which may stand for a reciprocal."""
    if operation != "reciprocal" or only(at, operation) is not None:
        return None
    node = only(at, "div")
    return node if isinstance(node, ast.BinOp) else None


def taken(
    tensors: Sequence[Any], tensor: Any, frame: FrameType, files: UserFiles
) -> tuple[FrameType | None, Location | None, str]:
    """The user's frame and line in which the operation that runs in `frame` took `tensor`, one of
    its operands, and how that is written there."""
    user = user_frame(frame, files)
    at = locate(user.f_code, user.f_lasti) if user is not None else None
    which = next((i for i, each in enumerate(tensors) if each is tensor), 0)
    return user, at, operand_text(at, user, tensors, which, True) if at is not None else ""


_OPERATORS: dict[str, type[ast.operator]] = {
    "div": ast.Div, "mul": ast.Mult, "pow": ast.Pow, "add": ast.Add, "sub": ast.Sub,
    "mm": ast.MatMult, "bmm": ast.MatMult, "mv": ast.MatMult, "dot": ast.MatMult,
}  # fmt: skip
# What else an operation is written as.
_SPELLINGS = {
    "div": ("divide", "true_divide"), "mul": ("multiply",), "pow": ("square",),
    "mm": ("matmul",), "bmm": ("matmul",), "mv": ("matmul",), "dot": ("matmul",),
    "acos": ("arccos",), "asin": ("arcsin",), "acosh": ("arccosh",), "atanh": ("arctanh",),
}  # fmt: skip


def only(at: Location, operation: str, turn: Turn | None = None) -> ast.expr | None:
    """The expression of the statement at `at` that is this operation: the only one, or of several
    the one whose `turn` it was."""
    statement = statement_at(at.file, at.line) if operation else None
    found = [each for each in nodes_of(statement) if is_written(each, operation)]
    if len(found) <= 1 or turn is None or statement is None:
        return found[0] if len(found) == 1 else None
    ordered = [each for each in _in_order(statement) if is_written(each, operation)]
    in_line = [each for each in ordered if each.lineno == at.line]
    return in_line[turn.at] if turn.of == len(in_line) and _is_straight(statement) else None


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression in the order in which they are computed, it after them."""
    for each in ast.iter_child_nodes(node):
        yield from _in_order(each)
    yield node


_BRANCHES = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.comprehension, ast.Dict)


def _is_straight(statement: ast.stmt) -> bool:
    """Whether a simple statement computes each of its parts once, in their order, and calls nothing
    but torch's own operations, so that all it does is written in it."""
    simple = isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return)
    for each in nodes_of(statement):
        if isinstance(each, _BRANCHES):
            return False
        if isinstance(each, ast.Call) and not hasattr(torch.Tensor, _called(each)):
            return False
    return simple


def _called(node: ast.Call) -> str:
    called = node.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _by_place(node: ast.AST) -> bool:
    """Whether all operands of an expression are given by their places."""
    if not isinstance(node, ast.Call):
        return True
    return not node.keywords and not any(isinstance(each, ast.Starred) for each in node.args)


def is_written(node: ast.AST, operation: str) -> TypeGuard[ast.expr]:
    """Whether a syntax node is an operation of this name."""
    if isinstance(node, ast.BinOp):
        return type(node.op) is _OPERATORS.get(operation)
    name = _called(node).rstrip("_") if isinstance(node, ast.Call) and not _of_numbers(node) else ""
    return bool(name) and name in (operation, *_SPELLINGS.get(operation, ()))


def _of_numbers(node: ast.Call) -> bool:
    """Whether it is a function of a library that makes no nodes, as ``math.log(2)``."""
    called = node.func
    return isinstance(called, ast.Attribute) and (
        isinstance(called.value, ast.Name) and called.value.id in ("math", "np", "numpy")
    )


def written(
    operation: str, value: Any, frames: Sequence[FrameType], files: Iterable[str]
) -> tuple[Location, str] | None:
    """Where an operation on `value` stands, and that operand as written: None unless it stands once
    in all of `files`, in the function of one of `frames`, whose variables have that operand."""
    found = [
        (node, file)
        for file in files
        for node in nodes_of(parse(file))
        if is_written(node, operation)
    ]
    if len(found) != 1:
        return None
    node, file = found[0]
    for frame in frames:
        code = frame.f_code
        lines = [line for _, _, line in code.co_lines() if line is not None]
        if code.co_filename != file or node.lineno not in lines:
            continue
        for each in operands(node):
            if _same(in_frame(each, frame), value):
                return place(node, file, code.co_name), as_written(each)
    return None


def is_direct(frame: FrameType, user: FrameType | None) -> bool:
    """Whether no Python function of torch's lies between the operation and the user's line."""
    each: FrameType | None = frame
    while each is not None and each is not user:
        name = each.f_globals.get("__name__", "")
        if name.startswith(("torch.nn", "torch.distributions")) or name == "torch.functional":
            return False
        each = each.f_back
    return True


# What runs between an operation and the function that asks for it.
_BETWEEN = ("graphlab.", "torch._dynamo", "torch._compile")


def named_by_call(
    at: Location, user: FrameType, frame: FrameType, tensors: Sequence[Any], which: int
) -> str:
    """What the operand number `which` is called of an operation that runs in `frame`, in a function
    of torch's that the line `at` of the frame `user` has called."""
    return _handed(at, user, frame, tensors[which]) or _variable(frame, tensors, which)


def called_whole(user: FrameType | None) -> tuple[str, str, Any] | None:
    """The function that the instruction of a frame calls, and its only operand, as written and as
    it is: of one that computes with a constant of its own, as `torch.logdet` does."""
    node = expression_of(user.f_code, user.f_lasti) if user is not None else None
    if user is None or not isinstance(node, ast.Call):
        return None
    name, given = _called(node), operands(node)
    if not name or len(given) != 1:
        return None
    return name, as_written(given[0]), in_frame(given[0], user)


def _handed(at: Location, user: FrameType, inner: FrameType, tensor: Any) -> str:
    """How the user has written what the call at `at` handed to a function in which `inner` runs,
    where `tensor` is that; or the attribute of what the method is called on, ``dist.scale``."""
    while inner.f_back is not None and inner.f_back is not user:
        inner = inner.f_back
    node = expression_at(at, user)
    if not isinstance(node, ast.Call) or any(isinstance(each, ast.Starred) for each in node.args):
        return ""
    code, values = inner.f_code, inner.f_locals
    kept = [each for each in code.co_varnames[: code.co_argcount] if each not in _stored(code)]
    names = [*code.co_varnames[: code.co_argcount]]
    method = names[:1] == ["self"]
    given = [values.get(each) if each in kept else None for each in names[method:]]
    if code.co_flags & inspect.CO_VARARGS:
        rest = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
        given += rest if type(rest) is tuple else ()
    # What the function took is as a rule a view of what it was handed.
    for same in (_same, _view):
        for written, value in zip(node.args, given, strict=False):
            if same(value, tensor):
                return as_written(written)
    for each in node.keywords:
        if each.arg in kept and _same(values.get(each.arg), tensor):
            return as_written(each.value)
    if method and isinstance(node.func, ast.Attribute):
        for name, value in attributes(values.get("self")).items():
            if _same(value, tensor):
                return f"{as_written(node.func.value)}.{name}"
    return ""


def _stored(code: CodeType) -> set[str]:
    """The variables that a function gives a value to."""
    found = dis.get_instructions(code)
    return {each.argval for each in found if each.opname.startswith(("STORE_", "DELETE_"))}


def _known_other(node: ast.expr, frame: FrameType, others: list[int]) -> bool:
    value = in_frame(node, frame)
    return id(value) in others or exactly(value, int, float, bool, str)


def _same(value: Any, tensor: Any) -> bool:
    if value is tensor:
        return True
    return (
        is_tensor(value)
        and is_tensor(tensor)
        and storage_key(value) is not None
        and storage_key(value) == storage_key(tensor)
        and shape_of(value) == shape_of(tensor)
    )


def _view(value: Any, tensor: Any) -> bool:
    """Whether a tensor is another one of all the values."""
    if not is_tensor(value) or not is_tensor(tensor) or storage_key(value) is None:
        return False
    return storage_key(value) == storage_key(tensor) and count_of(value) == count_of(tensor)


def _variable(frame: FrameType | None, tensors: Sequence[Any], which: int) -> str:
    """The variable that has a tensor in the function of torch's that `frame` runs in, or how that
    function writes it: ``2 * var``."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_BETWEEN):
        frame = frame.f_back
    if frame is None:
        return ""
    function = frame.f_code.co_name
    for name, value in frame.f_locals.items():
        if _same(value, tensors[which]):
            return message("observed.values.inside", name=name, function=function)
    text = operand_text(locate(frame.f_code, frame.f_lasti), frame, tensors, which, True)
    return message("observed.values.inside", name=text, function=function) if text else ""


def _statement(at: Location) -> ast.AST | None:
    """The statement ``a /= b`` that begins at `at`."""
    for node in nodes_of(parse(at.file)):
        if isinstance(node, ast.AugAssign) and node.lineno == at.line:
            return node
    return None

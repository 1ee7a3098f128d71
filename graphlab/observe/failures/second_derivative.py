"""A backward through a gradient whose operation has no second derivative.

torch puts a node there that can only raise: ``Error`` by @once_differentiable, ``NotImplemented``
for its own operations.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from graphlab.observe.failures.call import Diagnosis, FailedCall, cut_at
from graphlab.observe.failures.functions import CustomFunction
from graphlab.observe.failures.node import operands
from graphlab.observe.graph.engine import RAISERS, Metadata, inputs_of, metadata
from graphlab.observe.graph.walk import operation
from graphlab.observe.notes import Cut, CutAt
from graphlab.source.effects.assignments import scope_of
from graphlab.source.objects import class_name, is_a
from graphlab.source.places import parse
from graphlab.source.wording import call_text
from graphlab.trace.model import FailedNode

_COMPILED = "CompiledFunctionBackward"


def no_second_derivative(call: FailedCall) -> Diagnosis | None:
    """The failure at a node that can only raise; None where it was at another."""
    if len(call.possible) != 1 or class_name(call.possible[0]) not in RAISERS:
        return _of_compiled(call) or _of_derivative(call)
    raiser = call.possible[0]
    if class_name(raiser) == "NotImplemented":
        return _of_torch(call, raiser)
    return _of_function(call, raiser)


def _of_compiled(call: FailedCall) -> Diagnosis | None:
    """A gradient of what torch.compile compiled: its own Function there can only raise, a private
    one, whose frame tells of it."""
    code = call.below[-1].frame.f_code if call.below else None
    if code is None or code.co_qualname.rsplit(".", 2)[-2:] != [_COMPILED, "backward"]:
        return None
    if not code.co_filename.replace("\\", "/").endswith("_aot_autograd/runtime_wrappers.py"):
        return None
    made = [each for each in call.nodes if operation(each).startswith(_COMPILED + "Backward")]
    lines = {at for each in made if (at := call.forward(each)) is not None}
    at = lines.pop() if len(lines) == 1 else None
    compiling = call.only_call(lambda node: ast.unparse(node.func) in ("torch.compile", "compile"))
    function, cut = "torch.compile()", None
    if compiling is not None:
        function, cut = call_text(compiling, "compile")[0], CutAt(compiling, "torch.compile()")
    node = FailedNode(_COMPILED, at, function=function)
    return Diagnosis("no-second-derivative", node, cut=cut)


def _of_torch(call: FailedCall, raiser: Any) -> Diagnosis:
    """An operation of torch's own whose backward has no derivative: its forward line."""
    parents = {node for node, _ in raiser.next_functions if node is not None}
    fits = []
    for node in call.nodes:
        inputs = {each for each, _ in node.next_functions if each is not None}
        if inputs and inputs <= parents and class_name(node) not in RAISERS:
            fits.append(node)
    # The operation's own result is among what its backward is computed from, where that is saved.
    fits = [each for each in fits if each in parents] or fits
    named = [each for each in fits if _stem(each) in _said(call)]
    fits = named or fits
    return _told(call, fits)


def _said(call: FailedCall) -> str:
    """The message of torch's, which only decides between several."""
    return "".join(each for each in str(call.error) if each.isalnum()).lower()


def _of_derivative(call: FailedCall) -> Diagnosis | None:
    """An operation's own derivative, such as CdistBackwardBackward0, that torch has not written."""
    if not is_a(call.error, NotImplementedError) or call.below:
        return None
    derivatives = [each for each in call.stopped.all if _first(each).endswith("Backward")]
    named = [each for each in derivatives if _first(each).lower() in _said(call)]
    # An operation has one for each of its operands.
    derivatives = named or derivatives
    stems = {_first(each) for each in derivatives}
    if len(stems) != 1:
        return None
    stem = stems.pop()
    made = [each for each in call.nodes if operation(each).rstrip("0123456789") == stem]
    parents = [parent for each in derivatives for parent, _ in each.next_functions]
    made = [each for each in made if each in parents] or made
    return _told(call, made)


def _is_call_of(node: ast.Call, stem: str) -> bool:
    """Whether a call runs the operation `stem`: ``torch.cdist`` for ``cdist``."""
    func = node.func
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    name = name.replace("_", "").lower()
    attention = "scaleddotproduct"
    return bool(name) and (name == stem or (name.startswith(attention) and attention in stem))


def _first(node: Any) -> str:
    """``CdistBackward`` for a CdistBackwardBackward0."""
    return operation(node).rstrip("0123456789").removesuffix("Backward")


def _told(call: FailedCall, fits: list[Any]) -> Diagnosis:
    at = call.forward(fits[0]) if len(fits) == 1 else None
    if at is None and fits and len({operation(each) for each in fits}) == 1:
        at = call.only_call(lambda node: _is_call_of(node, _stem(fits[0])))
    if at is None:
        return Diagnosis("no-second-derivative", FailedNode("", None))
    node = FailedNode(operation(fits[0]), at, call.module(fits[0]), operands(call, fits[0]))
    return Diagnosis("no-second-derivative", node, cut=CutAt(at, at.code))


def _stem(node: Any) -> str:
    """``cdist`` for a CdistBackward0."""
    return operation(node).rstrip("0123456789").removesuffix("Backward").lower()


def _of_function(call: FailedCall, raiser: Any) -> Diagnosis:
    """A custom Function marked with @once_differentiable: the decorator's line."""
    found = _candidates(call, raiser)
    kinds = {id(each.kind): each for each in found}
    if len(kinds) != 1:
        return Diagnosis("no-second-derivative", FailedNode("", None))
    function = next(iter(kinds.values()))
    nodes = [each for each in call.nodes if _is_of(each, function)]
    lines = {call.forward(each) for each in nodes}
    at = lines.pop() if len(lines) == 1 else None
    module = call.module(nodes[0]) if len(nodes) == 1 else None
    cut: Cut | None = None
    code = function.backward
    if code is not None and code in call.files:
        decorator = _decorator(function.source())
        if decorator is not None:
            by = f"@{ast.unparse(decorator)}"
            cut = cut_at(decorator, by, code.co_filename, code.co_qualname)
    elif at is not None:
        cut = CutAt(at, at.code)
    node = FailedNode(f"{function.name}Backward", at, module, function=function.name)
    return Diagnosis("no-second-derivative", node, cut=cut)


def _is_of(node: Any, function: CustomFunction) -> bool:
    other = CustomFunction.of(node)
    return other is not None and other.kind is function.kind


def _candidates(call: FailedCall, raiser: Any) -> list[CustomFunction]:
    """The marked Functions that may have put `raiser` there."""
    outputs = _outputs(raiser)
    found = []
    loose = []
    for node in call.nodes:
        function = CustomFunction.of(node)
        if function is None or not _marked(function):
            continue
        loose.append(function)
        if _fits(inputs_of(node), outputs):
            found.append(function)
    if call.log is not None:
        # It is one whose backward has run; the graph need not lead to its forward.
        ran = [*_in_log(call)]
        codes = [each.backward for each in ran]
        return [each for each in found if each.backward in codes] or ran
    others = {each.backward for each in loose}
    return found if found or len(others) != _marked_in_source(call) else loose


def _outputs(raiser: Any) -> list[Metadata | None]:
    try:
        count = len(raiser._input_metadata)
    except Exception:
        return []
    return [metadata(raiser, at) for at in range(count)]


def _fits(inputs: list[Metadata | None], outputs: list[Metadata | None]) -> bool:
    """Whether a gradient for each of `inputs` can be one of `outputs`."""
    known = [each.shape for each in inputs if each is not None]
    made = [each.shape for each in outputs if each is not None]
    return bool(made) and all(shape in made for shape in known)


def _in_log(call: FailedCall) -> Iterator[CustomFunction]:
    """The marked Functions whose backward ran: the graph need not lead to their forward."""
    if call.log is None:
        return
    marks = [*call.log.marks, *(call.elsewhere or ())]
    codes = {code for _, code, _, _ in marks if code is not None}
    for code in codes:
        source = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        if isinstance(source, ast.FunctionDef) and _decorator(source) is not None:
            yield _FromCode(code)


def _marked_in_source(call: FailedCall) -> int:
    """How many functions in the files of the user's frames are marked."""
    return sum(
        isinstance(node, ast.FunctionDef) and _decorator(node) is not None
        for file in call.user_files()
        for node in ast.walk(parse(file) or ast.Module([], []))
    )


class _FromCode(CustomFunction):
    """As a CustomFunction, from the code of its backward alone."""

    def __init__(self, code: Any) -> None:
        self.kind = code
        self.backward, self.forward = code, None

    @property
    def name(self) -> str:
        return self.kind.co_qualname.rpartition(".")[0].rpartition(".")[2] or "a custom Function"


def _marked(function: CustomFunction) -> bool:
    code = function.backward
    if code is None:
        return False
    source = function.source()
    return source is not None and _decorator(source) is not None


def _decorator(source: ast.FunctionDef | None) -> ast.expr | None:
    for each in source.decorator_list if source is not None else ():
        if ast.unparse(each).rsplit(".", 1)[-1] == "once_differentiable":
            return each
    return None

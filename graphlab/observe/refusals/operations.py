"""Explains, from an error's traceback, operations that torch refused because of what a tensor is.

torch's wording decides only which fact is looked for; the finding rests on the fact itself, read
from the tensors that the refused call was given.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from graphlab.observe.notes import Log
from graphlab.observe.origins.context import Context, Entry, node_at
from graphlab.observe.origins.facts import (
    batch_levels,
    is_inference,
    is_result,
    retains_grad,
    shares_elements,
)
from graphlab.observe.origins.made import Made, Makers
from graphlab.observe.refusals.cut import find_cut
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.observe.refusals.traceback import ErrorTraceback, TracebackEntry
from graphlab.observe.tensors import (
    describe,
    grad_of,
    is_module,
    is_tensor,
    is_view,
    kind_of,
    requires_grad,
    storage_key,
)
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, attributes, exactly, items, variables
from graphlab.source.places import statement_at
from graphlab.source.statements import statements
from graphlab.source.wording import call_text
from graphlab.trace.model import Location, Refusal, TensorInfo

Test = Callable[[Any], bool]


class Operation(NamedTuple):
    """A refused operation: where, how it is written, on which tensor, and why that is so."""

    kind: Refusal
    entry: TracebackEntry
    at: Location
    by: str
    info: TensorInfo
    made: Made | None


class _Subject(NamedTuple):
    """A tensor, and the expression of the user's that stands for it."""

    tensor: Any
    node: ast.expr | None = None


def refused_operation(error: BaseException, files: UserFiles, log: Log | None) -> Operation | None:
    """What torch refused as `error` was raised; None if it is none of these."""
    if error.__traceback__ is None:
        return None
    tb = ErrorTraceback(error.__traceback__, files)
    if not tb.entries:
        return None
    tb.look_from(len(tb.entries))
    if tb.caller is None or tb.caller not in tb.entries or tb.at is None:
        return None
    return _Refused(error, tb, files, log).found()


class _Refused:
    def __init__(
        self, error: BaseException, tb: ErrorTraceback, files: UserFiles, log: Log | None
    ) -> None:
        assert tb.caller is not None and tb.at is not None
        self._error, self._tb, self._files, self._log = error, tb, files, log
        self._entry, self._at = tb.caller, tb.at
        self._below = tb.entries[tb.entries.index(tb.caller) + 1 :]
        self._node = node_at(self._entry.frame.f_code, self._entry.offset)
        self._context = Context.of_entry(Entry(*self._entry))

    def found(self) -> Operation | None:
        """The first look that fits. None of these can fit an error of another kind."""
        last = self._below[-1].frame if self._below else None
        name = last.f_code.co_name if last is not None else ""
        path = last.f_code.co_filename.replace("\\", "/") if last is not None else ""
        if last is not None and path.endswith("torch/optim/optimizer.py"):
            param = last.f_locals.get("param")
            if name == "add_param_group" and type(self._error) is ValueError and is_result(param):
                return self._told("non-leaf", _Subject(param), self._call())
        if last is not None and name == "__deepcopy__" and path.endswith("torch/_tensor.py"):
            copied = last.f_locals.get("self")
            if type(self._error) is RuntimeError and is_result(copied):
                return self._told("non-leaf", _Subject(copied), self._call())
        if isinstance(self._error, AttributeError | TypeError):
            return self._without_gradient()
        if not isinstance(self._error, RuntimeError):
            return None
        return self._unmapped() or self._by_message()

    def _by_message(self) -> Operation | None:
        mistake = mistake_of(self._error)
        if mistake == "inference":
            subject = self._subject(is_inference)
            return self._told("inference", subject, self._operation(subject))
        if mistake == "overlap":
            subject = self._written(shares_elements)
            return self._told("overlap", subject, self._operation(subject))
        if mistake == "non-leaf":
            subject = self._subject(is_result)
            return self._told("non-leaf", subject, self._operation(subject))
        if mistake == "hook":
            subject = self._subject(lambda each: is_tensor(each) and not requires_grad(each))
            return self._told("hook", subject, self._operation(subject))
        if mistake == "detached-view":
            subject = self._subject(is_view)
            return self._told("view", subject, self._operation(subject))
        return None

    # Which tensor -------------------------------------------------------------

    def _subject(self, test: Test) -> _Subject | None:
        """The tensor with a property among what the refused call was given: in the innermost frame
        of a library's, else in the user's expression."""
        for entry in reversed(self._below):
            for each in _held(entry):
                if test(each):
                    return _Subject(each, self._expression_of(each))
        for node in self._expressions():
            value = self._value(node)
            if is_tensor(value) and test(value):
                return _Subject(value, node)
        return None

    def _written(self, test: Test) -> _Subject | None:
        """The tensor that the refused call writes."""
        if self._below:
            return self._subject(test)
        for node in self._targets():
            value = self._value(node)
            if is_tensor(value) and test(value):
                return _Subject(value, node)
        return None

    def _targets(self) -> list[ast.expr]:
        """The variables that the statement writes in place."""
        at = self._at
        found = []
        for each in statements(at.file):
            first, last = each.node.lineno, each.node.end_lineno or 0
            if each.kind == "write" and first <= at.line <= last:
                found.append((each.at.column != at.column, each.target))
        found.sort(key=lambda pair: pair[0])
        return [target for _, target in found]

    def _expressions(self) -> Iterator[ast.expr]:
        """The variables, attributes and items in the expression that failed, the outermost of a
        chain first."""
        node = self._node or statement_at(self._at.file, self._at.line)
        stack: list[ast.AST] = [node] if node is not None else []
        while stack:
            each = stack.pop(0)
            if isinstance(each, ast.Name | ast.Attribute | ast.Subscript):
                yield each
            if isinstance(each, ast.Lambda | ast.FunctionDef):
                continue
            stack += [
                child
                for child in ast.iter_child_nodes(each)
                if isinstance(child, ast.expr | ast.keyword | ast.comprehension | ast.Slice)
            ]

    def _expression_of(self, tensor: Any) -> ast.expr | None:
        """The expression in the failed call that stands for `tensor`, or has it among its items."""
        key = storage_key(tensor)
        holder = None
        for node in self._expressions():
            value = self._value(node)
            if value is tensor:
                return node
            if is_tensor(value) and key is not None and storage_key(value) == key:
                holder = holder or node
        return holder

    def _value(self, node: ast.AST) -> Any:
        return self._context.value(node) if self._context is not None else LOST

    # A gradient that is None --------------------------------------------------

    def _without_gradient(self) -> Operation | None:
        """The use of ``x.grad`` as a tensor where it is None because `x` is a result."""
        node = self._node
        if node is None:
            return None
        operands: list[ast.AST] = [*ast.iter_child_nodes(node)]
        if isinstance(node, ast.Attribute):
            operands = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            operands.append(node.func.value)
        for each in operands:
            inner = each.value if isinstance(each, ast.keyword) else each
            holder = self._holder_of_gradient(inner)
            if holder is not None:
                subject = _Subject(self._value(holder), holder)
                return self._told("non-leaf", subject, f"{ast.unparse(holder)}.grad")
        return None

    def _holder_of_gradient(self, node: ast.AST) -> ast.expr | None:
        while isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        if isinstance(node, ast.Name) and self._value(node) is None and self._context is not None:
            # ``g = x.grad`` further up.
            told = [
                each.value
                for each in ast.walk(self._context.scope)
                if isinstance(each, ast.Assign)
                and each.lineno < self._at.line
                and any(isinstance(t, ast.Name) and t.id == node.id for t in each.targets)
            ]
            node = told[-1] if told else node
        if not isinstance(node, ast.Attribute) or node.attr != "grad":
            return None
        value = self._value(node.value)
        if not is_result(value) or retains_grad(value) or grad_of(value) is not None:
            return None
        return node.value

    # Under a vmap -------------------------------------------------------------

    def _unmapped(self) -> Operation | None:
        """A write of mapped values to a tensor that the vmap does not map."""
        mapped = any(
            each.frame.f_code.co_name == "_flat_vmap"
            and each.frame.f_code.co_filename.endswith("vmap.py")
            for each in self._tb.entries
        )
        if not mapped:
            return None
        statement = statement_at(self._at.file, self._at.line)
        values = [
            value
            for node in (ast.walk(statement) if statement is not None else ())
            if isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
            and is_tensor(value := self._value(node))
        ]
        for target in self._targets():
            written = self._value(target)
            if not is_tensor(written):
                continue
            own = batch_levels(written)
            if any(batch_levels(each) - own for each in values):
                subject = _Subject(written, target)
                return self._told("unmapped", subject, self._operation(subject))
        return None

    # The words ----------------------------------------------------------------

    def _call(self) -> str:
        return call_text(self._at, self._at.code)[0]

    def _operation(self, subject: _Subject | None) -> str:
        """The refused operation as the user wrote it: a write, a call or an expression."""
        node = self._node
        writes = [
            each.by
            for each in statements(self._at.file)
            if each.kind == "write" and each.at.line <= self._at.line <= (each.node.end_lineno or 0)
        ]
        if writes and not (isinstance(node, ast.Call) and subject is None):
            return writes[0]
        if isinstance(node, ast.Call):
            return f"{ast.unparse(node.func)}()"
        text = ast.unparse(node) if node is not None else self._at.code
        return text if len(text) < 60 else text[:57] + "…"

    def _told(self, kind: Refusal, subject: _Subject | None, by: str) -> Operation | None:
        if subject is None:
            return None
        tensor, node = subject
        node = node or self._expression_of(tensor)
        known = self._tb.names.of_tensor(tensor)
        lasting = known is not None and known[1].kind in ("parameter", "buffer")
        text = ast.unparse(node) if node is not None else None
        if known is not None and (lasting or text is None):
            info = describe(tensor, known[1].name, known[1].kind, known[1].owner)
        else:
            info = describe(tensor, text, kind_of(tensor), None)
        return Operation(
            kind, self._entry, self._at, by, info, self._made(kind, tensor, node, info)
        )

    def _made(
        self, kind: Refusal, tensor: Any, node: ast.expr | None, info: TensorInfo
    ) -> Made | None:
        entries = [Entry(*each) for each in self._tb.stack()]
        makers = Makers(self._files, self._tb.source_files(), entries, self._log)
        start, context = self._start(tensor, node, info)
        if kind == "hook":
            return self._cut(makers, start)
        if kind == "non-leaf":
            return makers.result(tensor, start, context)
        if kind == "inference":
            return makers.guard(start, context)
        if kind == "view":
            hook = makers.backward_hook(tensor, self._tb.names)
            return hook or makers.origin("view", start, context)
        return makers.origin(kind, start, context)

    def _cut(self, makers: Makers, node: ast.AST | None) -> Made | None:
        """Where the value of `node` lost its graph; a parameter's, where it was passed."""
        stack = [(each.frame, each.at.line) for each in reversed(self._tb.stack())]
        context = self._context
        while isinstance(node, ast.Name) and context is not None and context.entry is not None:
            own = [each for each in ast.walk(context.scope) if isinstance(each, ast.Name)]
            given = makers.project.given(node.id, context)
            again = any(isinstance(each.ctx, ast.Store) and each.id == node.id for each in own)
            if again or given is None or given[2] or given[1].entry is None:
                break
            node, context = given[0], given[1]
        if node is None or context is None or context.entry is None:
            return None
        frame = context.entry.frame
        line = next((line for each, line in stack if each is frame), self._at.line)
        cut = find_cut(frame, ast.unparse(node), self._files, line, stack)
        return Made(cut.location(), cut.by) if cut is not None else None

    def _start(
        self, tensor: Any, node: ast.expr | None, info: TensorInfo
    ) -> tuple[ast.AST | None, Context | None]:
        """Where the search begins: the user's expression, else the tensor's name in the frame that
        knows it, else the call."""
        if node is not None:
            return node, self._context
        for each in reversed(self._tb.stack()):
            if each.frame.f_code.co_filename not in self._files or info.name is None:
                continue
            context = Context.of_entry(Entry(*each))
            try:
                named = ast.parse(info.name, mode="eval").body
            except SyntaxError:
                # Of a part of a container such as nn.Sequential, the whole is looked for.
                named = ast.Name(info.owner or "", ast.Load())
                if context is not None and is_module(context.value(named)):
                    return named, context
                continue
            if context is not None and context.value(named) is tensor:
                return named, context
        given = self._node
        if isinstance(given, ast.Call):
            parts = [*given.args, *(each.value for each in given.keywords)]
            return ast.Tuple(parts, ast.Load()), self._context
        return given, self._context


def _held(entry: TracebackEntry) -> Iterator[Any]:
    """The tensors that a frame's variables hold, those of a module's own included."""
    for value in variables(entry.frame.f_locals).values():
        if is_tensor(value):
            yield value
        elif exactly(value, list, tuple):
            yield from (each for _, each in items(value) if is_tensor(each))
        elif is_module(value):
            for drawer in ("_parameters", "_buffers"):
                for _, each in items(attributes(value).get(drawer)):
                    if is_tensor(each):
                        yield each

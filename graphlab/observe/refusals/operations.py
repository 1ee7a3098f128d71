"""Explains, from an error's traceback, operations that torch refused because of what a tensor is.

torch's wording decides only which fact is looked for; the finding rests on the fact itself, read
from the tensors that the refused call was given.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from graphlab.language import message
from graphlab.observe.graph.kept import parts
from graphlab.observe.lineage.cut import find_cut, frozen_called
from graphlab.observe.notes import Log
from graphlab.observe.origins.context import Context, Entry
from graphlab.observe.origins.facts import (
    batch_levels,
    holds_integers,
    is_inference,
    is_result,
    retains_grad,
    shares_elements,
)
from graphlab.observe.origins.made import Made, Makers
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.observe.refusals.refused_call import RefusedCall, Subject
from graphlab.observe.refusals.traceback import ErrorTraceback, TracebackEntry
from graphlab.observe.tensors import (
    describe,
    is_module,
    is_parameter,
    is_tensor,
    is_view,
    kind_of,
    requires_grad,
)
from graphlab.source.files import UserFiles
from graphlab.source.objects import (
    attribute,
    attributes,
    exactly,
    is_a,
    items,
    static,
    variables,
)
from graphlab.source.places import statement_at
from graphlab.source.wording import call_text
from graphlab.trace.model import Location, Refusal, TensorInfo


class Operation(NamedTuple):
    """A refused operation: where, how it is written, on which tensor, and why that is so. of: the
    parameter that a property computes that tensor from at each reading."""

    kind: Refusal
    entry: TracebackEntry
    at: Location
    by: str
    info: TensorInfo
    made: Made | None
    of: str = ""

    @property
    def why(self) -> tuple[Location | None, str]:
        """The line that made the tensor so, and what it did."""
        return (self.made.at, self.made.by) if self.made is not None else (None, self.of)


def refused_operation(error: BaseException, files: UserFiles, log: Log | None) -> Operation | None:
    """What torch refused as `error` was raised; None if it is none of these."""
    tb = ErrorTraceback.of(error, files)
    return _Refused(error, tb, files, log).found() if tb is not None else None


def _runs(entry: TracebackEntry, name: str, path: str) -> bool:
    """Whether it is a frame of torch's function `name`."""
    code = entry.frame.f_code
    return code.co_name == name and code.co_filename.replace("\\", "/").endswith(path)


class _Refused:
    def __init__(
        self, error: BaseException, tb: ErrorTraceback, files: UserFiles, log: Log | None
    ) -> None:
        self._error, self._tb, self._files, self._log = error, tb, files, log
        self._call = call = RefusedCall(tb, files)
        self._entry, self._at, self._node, self._context = (
            call.entry, call.at, call.node, call.context,
        )  # fmt: skip
        self._below = call.below

    def found(self) -> Operation | None:
        """The first look that fits. None of these can fit an error of another kind."""
        last = self._below[-1].frame if self._below else None
        name = last.f_code.co_name if last is not None else ""
        path = last.f_code.co_filename.replace("\\", "/") if last is not None else ""
        if last is not None and path.endswith("torch/optim/optimizer.py"):
            param = last.f_locals.get("param")
            if name == "add_param_group" and type(self._error) is ValueError and is_result(param):
                return self._told("non-leaf", Subject(param), self._text())
        if last is not None and name == "__deepcopy__" and path.endswith("torch/_tensor.py"):
            copied = last.f_locals.get("self")
            if type(self._error) is RuntimeError and is_result(copied):
                return self._told("non-leaf", Subject(copied), self._text(), self._within(copied))
        if isinstance(self._error, AttributeError | TypeError):
            return self._number() or self._without_gradient()
        if not isinstance(self._error, RuntimeError):
            return None
        return self._unmapped() or self._by_message()

    def _within(self, tensor: Any) -> str | None:
        """The path to a tensor from an argument of the call, or None: it is that argument itself,
        or not to be found."""
        given = self._node.args if isinstance(self._node, ast.Call) else []
        for each in given:
            for name, value in parts(ast.unparse(each), self._call.value(each)):
                if value is tensor and name != ast.unparse(each):
                    return name
        return None

    def _by_message(self) -> Operation | None:
        mistake = mistake_of(self._error)
        if mistake == "inference":
            subject = self._call.subject(is_inference) or self._call.result_of_a_call(is_inference)
            return self._told("inference", subject, self._call.operation(subject))
        if mistake == "overlap":
            subject = self._call.written(shares_elements)
            return self._told("overlap", subject, self._call.operation(subject))
        if mistake == "non-leaf":
            subject = self._call.subject(is_result)
            if subject is None:
                return self._flagged_property()
            return self._told("non-leaf", subject, self._call.operation(subject))
        if mistake == "hook":
            subject = self._call.subject(lambda each: is_tensor(each) and not requires_grad(each))
            receiver = getattr(getattr(self._node, "func", None), "value", None)
            subject = subject or (Subject(None, receiver) if receiver is not None else None)
            return self._told("hook", subject, self._call.operation(subject))
        if mistake == "numpy":
            subject = self._call.subject(requires_grad)
            name = self._within(subject.tensor) if subject is not None else None
            return self._told("numpy", subject, self._call.operation(subject), name)
        if mistake == "integer":
            subject = self._call.subject(holds_integers) or self._of_numbers()
            return self._told("integer", subject, self._call.operation(subject))
        if mistake == "detached-view":
            subject = self._call.subject(is_view)
            return self._told("view", subject, self._call.operation(subject))
        return None

    def _flagged_property(self) -> Operation | None:
        """``module.scale.requires_grad = …``, where that is a property: it computes its value at
        each reading, from a parameter of the module."""
        statement = statement_at(self._at.file, self._at.line)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        called = getattr(self._node, "func", None) if isinstance(self._node, ast.Call) else None
        for each in (*targets, called):
            if not isinstance(each, ast.Attribute) or not each.attr.startswith("requires_grad"):
                continue
            read = each.value
            if not isinstance(read, ast.Attribute):
                continue
            holder = self._call.value(read.value)
            own = static(type(holder), read.attr) if is_module(holder) else None
            if is_a(own, property):
                told = self._told("non-leaf", Subject(None, read), ast.unparse(each))
                code = getattr(getattr(own, "fget", None), "__code__", None)
                names = [str(key) for key, _ in items(attributes(holder).get("_parameters"))]
                of = [each for each in names if each in getattr(code, "co_names", ())]
                outer = ast.unparse(read.value)
                return told._replace(of=f"{outer}.{of[0]}") if told and len(of) == 1 else told
        return None

    def _of_numbers(self) -> Subject | None:
        """What ``torch.tensor(values, requires_grad=True)`` was to be made of: no tensor is there
        yet that holds the integers."""
        node = self._node
        if self._below or not isinstance(node, ast.Call) or not node.args:
            return None
        named = isinstance(node.func, ast.Attribute) and node.func.attr in ("tensor", "as_tensor")
        asked = any(each.arg == "requires_grad" for each in node.keywords)
        return Subject(None, node.args[0]) if named and asked else None

    # A loss that is no tensor -------------------------------------------------

    def _number(self) -> Operation | None:
        """``loss.backward()`` of a number of Python's."""
        error, node = self._error, self._node
        if type(error) is not AttributeError or error.name != "backward" or self._below:
            return None
        func = node.func if isinstance(node, ast.Call) else node
        if not exactly(error.obj, float, int) or not isinstance(func, ast.Attribute):
            return None
        name = ast.unparse(func.value)
        info = TensorInfo(name, "activation", (), type(error.obj).__name__)
        stack = [(each.frame, each.at.line) for each in reversed(self._tb.stack())]
        cut = find_cut(self._entry.frame, name, self._files, self._at.line, stack, self._log)
        made = Made(cut.location(), cut.by) if cut is not None else None
        by = f"{ast.unparse(func)}()"
        return Operation("number", self._entry, self._at, by, info, made)

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
                by = f"{ast.unparse(holder.node)}.grad" if holder.node is not None else ".grad"
                return self._told("non-leaf", holder, by)
        return None

    def _holder_of_gradient(self, node: ast.AST) -> Subject | None:
        while isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        if (
            isinstance(node, ast.Name)
            and self._call.value(node) is None
            and self._context is not None
        ):
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
        # Reading .grad of a result would make torch warn: without retain_grad() it is None.
        for value in self._call.values(node.value):
            if is_result(value) and not retains_grad(value):
                return Subject(value, node.value)
        return None

    # Under a vmap -------------------------------------------------------------

    def _unmapped(self) -> Operation | None:
        """A write of mapped values to a tensor that the vmap does not map."""
        mapped = any(_runs(each, "_flat_vmap", "vmap.py") for each in self._tb.entries)
        if not mapped:
            return None
        if self._below and _runs(self._below[-1], "batch_norm", "torch/nn/functional.py"):
            return self._statistics()
        if self._below and _runs(self._below[-1], "forward", "torch/nn/modules/batchnorm.py"):
            # Within a grad() torch refuses the layer's counter, which comes first.
            return self._counted()
        if not self._call.is_write():
            return None
        statement = statement_at(self._at.file, self._at.line)
        values = [
            value
            for node in (ast.walk(statement) if statement is not None else ())
            if isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
            and is_tensor(value := self._call.value(node))
        ]
        for target in self._call.targets():
            written = self._call.value(target)
            if not is_tensor(written):
                continue
            own = batch_levels(written)
            if any(batch_levels(each) - own for each in values):
                subject = Subject(written, target)
                return self._told("unmapped", subject, self._call.operation(subject))
        return None

    def _statistics(self) -> Operation | None:
        """A batch norm in training, whose running statistics the vmap does not map."""
        given = variables(self._below[-1].frame.f_locals)
        mean, own = given.get("running_mean"), batch_levels(given.get("running_mean"))
        if given.get("training") is not True or not is_tensor(mean):
            return None
        if not batch_levels(given.get("input")) - own:
            return None
        return self._told("statistics", Subject(mean), self._text())

    def _counted(self) -> Operation | None:
        layer = variables(self._below[-1].frame.f_locals).get("self")
        mean = attribute(layer, "running_mean")
        if attribute(layer, "training") is not True or not is_tensor(mean):
            return None
        return self._told("statistics", Subject(mean), self._text())

    # The words ----------------------------------------------------------------

    def _text(self) -> str:
        return call_text(self._at, self._at.code)[0]

    def _told(
        self, kind: Refusal, subject: Subject | None, by: str, name: str | None = None
    ) -> Operation | None:
        if subject is None:
            return None
        tensor, node = subject
        if tensor is None:
            text = ast.unparse(node) if node is not None else None
            info = TensorInfo(text, "activation", (), "")
            return Operation(
                kind, self._entry, self._at, by, info, self._made(kind, tensor, node, info)
            )
        node = node or self._call.expression_of(tensor)
        known = self._tb.names.of_tensor(tensor) if name is None else None
        lasting = known is not None and known[1].kind in ("parameter", "buffer")
        text = name or (ast.unparse(node) if node is not None else None)
        if known is not None and (lasting or text is None or isinstance(node, ast.Call)):
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
        if kind == "statistics":
            return None
        if kind in ("hook", "integer"):
            return self._cut(makers, start, tensor, info)
        if kind in ("non-leaf", "numpy"):
            if tensor is None:
                return None
            return makers.result(tensor, start, context)
        if kind == "inference":
            return makers.guard(tensor, start, context)
        if kind == "view":
            hook = makers.backward_hook(tensor, self._tb.names)
            return hook or makers.origin("view", tensor, start, context)
        return makers.origin(kind, tensor, start, context)

    def _cut(
        self, makers: Makers, node: ast.AST | None, tensor: Any, info: TensorInfo
    ) -> Made | None:
        """Where the value of `node` lost its graph; a parameter's, where it was passed."""
        if tensor is not None and is_parameter(tensor):
            return makers.freezing()
        stack = [(each.frame, each.at.line) for each in reversed(self._tb.stack())]
        context = self._context
        while isinstance(node, ast.Name) and context is not None and context.entry is not None:
            own = [each for each in ast.walk(context.scope) if isinstance(each, ast.Name)]
            given = makers.project.given(node.id, context)
            again = any(isinstance(each.ctx, ast.Store) and each.id == node.id for each in own)
            if again or len(given) != 1 or given[0][2] or given[0][1].entry is None:
                break
            node, context = given[0][:2]
        if node is None or context is None or context.entry is None:
            return None
        frame = context.entry.frame
        line = next((line for each, line in stack if each is frame), self._at.line)
        cut = find_cut(frame, ast.unparse(node), self._files, line, stack)
        cut = cut or frozen_called(tensor, stack, self._files)
        if cut is not None:
            return Made(cut.location(), cut.by)
        # It never had one.
        made = makers.origin("made", tensor, node, context) if is_tensor(tensor) else None
        return (
            Made(made.at, message("observed.by.unasked", by=made.by)) if made is not None else None
        )

    def _start(
        self, tensor: Any, node: ast.expr | None, info: TensorInfo
    ) -> tuple[ast.AST | None, Context | None]:
        """Where to begin: the expression, the tensor's name in a frame that has it, the call."""
        if node is not None:
            return node, self._context
        for each in reversed(self._tb.stack()):
            if each.frame.f_code not in self._files or info.name is None:
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

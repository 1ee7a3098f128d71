"""The call that torch refused, as the user wrote it, and the tensors that it was given."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from graphlab.observe.origins.bindings import around
from graphlab.observe.origins.context import Context, Entry, node_at
from graphlab.observe.origins.project import Project
from graphlab.observe.refusals.traceback import ErrorTraceback, TracebackEntry
from graphlab.observe.tensors import is_module, is_tensor, storage_key
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, attributes, exactly, items, variables
from graphlab.source.places import statement_at
from graphlab.source.statements import Statement, statements

Test = Callable[[Any], bool]


class Subject(NamedTuple):
    """A tensor, and the expression of the user's that stands for it."""

    tensor: Any
    node: ast.expr | None = None


class RefusedCall:
    """`entry` is the user's innermost frame and `below` what it had called, `node` the expression
    that failed and `context` the call of the function that it is in."""

    def __init__(self, tb: ErrorTraceback, files: UserFiles) -> None:
        assert tb.caller is not None and tb.at is not None
        self._tb, self._files = tb, files
        self.entry, self.at = tb.caller, tb.at
        self.below = tb.entries[tb.entries.index(tb.caller) + 1 :]
        self.node = node_at(self.entry.frame.f_code, self.entry.offset)
        self.context = Context.of_entry(Entry(*self.entry))

    def subject(self, test: Test) -> Subject | None:
        """The tensor with a property among what the refused call was given: in the innermost frame
        of a library's, else in the user's expression."""
        for entry in reversed(self.below):
            for each in _held(entry):
                if test(each):
                    return Subject(each, self.expression_of(each))
        for node in self.expressions():
            value = self.value(node)
            if is_tensor(value) and test(value):
                return Subject(value, node)
        return None

    def result_of_a_call(self, test: Test) -> Subject | None:
        """What the user's expression computes in place and no variable holds: the only call in it,
        and the only tensor with the property that anything else in the program still holds."""
        calls = [
            each
            for node in [self.node]
            if node is not None and not self.below
            for child in ast.iter_child_nodes(node)
            for each in ast.walk(child)
            if isinstance(each, ast.Call)
            and self.context is not None
            and Project(self._files, self._tb.source_files(), [], None).entered(each, self.context)
        ]
        if len(calls) != 1:
            return None
        held = {
            key: tensor
            for key, several in self._tb.names.storages.items()
            for tensor, _ in several
            if test(tensor)
        }
        return Subject(next(iter(held.values())) if len(held) == 1 else None, calls[0])

    def written(self, test: Test) -> Subject | None:
        """The tensor that the refused call writes."""
        if self.below:
            return self.subject(test)
        for node in self.targets():
            value = self.value(node)
            if is_tensor(value) and test(value):
                return Subject(value, node)
        return None

    def targets(self) -> list[ast.expr]:
        """The variables that the statement writes in place."""
        at = self.at
        here = [
            each
            for each in statements(at.file)
            if each.kind == "write" and each.node.lineno <= at.line <= (each.node.end_lineno or 0)
        ]
        here.sort(key=lambda each: each.at.column != at.column)
        return [node for each in here for node in written_through(each)]

    def expressions(self) -> Iterator[ast.expr]:
        """The variables, attributes and items in the expression that failed, the outermost of a
        chain first."""
        node = self.node or statement_at(self.at.file, self.at.line)
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

    def expression_of(self, tensor: Any) -> ast.expr | None:
        """The expression in the failed call that stands for `tensor`, or has it among its items."""
        key = storage_key(tensor)
        holder = None
        for node in self.expressions():
            value = self.value(node)
            if value is tensor:
                return node
            if is_tensor(value) and key is not None and storage_key(value) == key:
                holder = holder or node
        return holder

    def is_write(self) -> bool:
        """Whether what failed is an in-place write, and not the computation of what is written."""
        node = self.node
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            words = [each.arg for each in node.keywords]
            return name.endswith("_") or "out" in words or "inplace" in words
        stored = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
        return stored or isinstance(node, ast.AugAssign | ast.Assign)

    def values(self, node: ast.expr) -> list[Any]:
        """The value of an expression; of a comprehension's variable that is gone by now, as since
        Python 3.12, any of the items that it stood for."""
        value = self.value(node)
        if value is not LOST or not isinstance(node, ast.Name):
            return [value]
        for outer in around(node, self.at.file):
            for part in getattr(outer, "generators", ()):
                source, path = part.iter, part.target
                if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute):
                    # ``d.items()`` and ``d.values()``.
                    source = source.func.value
                if any(getattr(each, "id", "") == node.id for each in ast.walk(path)):
                    return [each for _, each in items(self.value(source))]
        return []

    def value(self, node: ast.AST) -> Any:
        return self.context.value(node) if self.context is not None else LOST

    def operation(self, subject: Subject | None) -> str:
        """The refused operation as the user wrote it: a write, a call or an expression."""
        node = self.node
        writes = [
            each.by
            for each in statements(self.at.file)
            if each.kind == "write" and each.at.line <= self.at.line <= (each.node.end_lineno or 0)
        ]
        if writes and not (isinstance(node, ast.Call) and subject is None):
            return writes[0]
        if isinstance(node, ast.Call):
            return f"{ast.unparse(node.func)}()"
        text = ast.unparse(node) if node is not None else self.at.code
        return text if len(text) < 60 else text[:57] + "…"


def written_through(statement: Statement) -> list[ast.expr]:
    """The expressions through which a statement writes, from the item or slice that it names to the
    variable: ``d["k"][0]``, ``d["k"]`` and ``d``, whichever of them is the tensor."""
    node = statement.node
    first: ast.expr | None = None
    if isinstance(node, ast.AugAssign):
        first = node.target
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        first = node.targets[0].value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        inside = {id(each) for each in ast.walk(node.func.value)}
        first = node.func.value if id(statement.target) in inside else None
    found = []
    while first is not None and first is not statement.target:
        found.append(first)
        first = first.value if isinstance(first, ast.Subscript | ast.Attribute) else None
    return [*found, statement.target]


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

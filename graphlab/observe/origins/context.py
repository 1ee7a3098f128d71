"""One call of one of the user's functions: what its names stand for, as far as that is known."""

from __future__ import annotations

import ast
import itertools
import sys
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

from graphlab.observe.origins.bindings import Step
from graphlab.observe.tensors import is_module
from graphlab.source.effects.assignments import scope_of
from graphlab.source.evaluate import constant
from graphlab.source.objects import LOST, attribute, attributes, exactly, is_a, item, lookup, static
from graphlab.source.places import parse

_calls = itertools.count()


class Entry(NamedTuple):
    """A frame and the offset of the instruction that it is at."""

    frame: FrameType
    offset: int


class Context:
    """`use` is the node that is looked at, `frame` the call's frame while that is known; `bound`
    has the parameters' expressions, each with the context and part that it is of, and `receiver`
    what ``self`` stands for."""

    def __init__(
        self,
        file: str,
        scope: ast.AST,
        use: ast.AST,
        entry: Entry | None = None,
        bound: dict[str, tuple[ast.AST, Context, tuple[Step, ...]]] | None = None,
        receiver: Any = LOST,
        space: Any = None,
        function: str = "",
    ) -> None:
        self.file, self.scope, self.use = file, scope, use
        self.entry, self.bound, self.receiver = entry, bound or {}, receiver
        self.space = space if space is not None else _space(file)
        self.function = function or getattr(scope, "name", "")
        # Tells calls of one function apart.
        self.call = next(_calls)

    @classmethod
    def of_entry(cls, entry: Entry) -> Context | None:
        """The context of a frame's call."""
        code = entry.frame.f_code
        tree = parse(code.co_filename)
        if tree is None:
            return None
        scope = code_scope(code)
        use = node_at(code, entry.offset) or scope
        return cls(
            code.co_filename, scope, use, entry, space=entry.frame.f_globals,
            function=code.co_qualname,
        )  # fmt: skip

    def value(self, node: ast.AST) -> Any:
        """The value of an expression, without running code; LOST if that is not known."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.variable(node.id)
        if isinstance(node, ast.Attribute):
            holder = self.value(node.value)
            return LOST if holder is LOST else attribute(holder, node.attr)
        if isinstance(node, ast.Subscript):
            holder = self.value(node.value)
            if holder is LOST:
                return LOST
            key = constant(node.slice)
            return item(holder, self.value(node.slice) if key is LOST else key)
        if isinstance(node, ast.Tuple | ast.List):
            return [self.value(each) for each in node.elts]
        return LOST

    def variable(self, name: str) -> Any:
        """The value of a variable, or LOST."""
        if self.entry is not None:
            return lookup(name, self.entry.frame.f_locals, self.space)
        if name == "self" and self.receiver is not LOST:
            return self.receiver
        if name in self.bound:
            node, context, take = self.bound[name]
            found = context.value(node)
            for step in take:
                found = item(found, step) if found is not LOST else LOST
            return found
        code = self.scope
        if isinstance(code, ast.Module) or not _is_local(name, code):
            return lookup(name, self.space)
        return LOST


def _is_local(name: str, scope: ast.AST) -> bool:
    told = getattr(scope, "args", None)
    names = {each.arg for each in ast.walk(told) if isinstance(each, ast.arg)} if told else set()
    return name in names or any(
        isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
        for each in ast.walk(scope)
    )


def _space(file: str) -> Any:
    for module in list(sys.modules.values()):
        own = attributes(module)
        if own.get("__file__") == file:
            return own
    return {}


def code_scope(code: CodeType) -> Any:
    """The syntax node of a code object: a function, a lambda or the module."""
    tree = parse(code.co_filename)
    if code.co_name == "<lambda>":
        fitting = [
            each
            for each in (ast.walk(tree) if tree is not None else ())
            if isinstance(each, ast.Lambda) and each.lineno == code.co_firstlineno
        ]
        return fitting[0] if len(fitting) == 1 else tree
    if code.co_name.startswith("<") and code.co_name != "<module>":
        # A comprehension's own frame: its names are those of the function around it.
        best: Any = tree
        for each in ast.walk(tree) if tree is not None else ():
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = each.lineno <= code.co_firstlineno <= (each.end_lineno or 0)
                if inside and each.lineno >= getattr(best, "lineno", 0):
                    best = each
        return best
    return scope_of(tree, code.co_firstlineno, code.co_name)


def node_at(code: CodeType, offset: int) -> ast.AST | None:
    """The syntax node that the instruction at `offset` belongs to: the smallest that covers its
    columns."""
    tree = parse(code.co_filename)
    if tree is None or offset < 0:
        return None
    positions = list(code.co_positions())
    line, end, column, end_column = positions[offset // 2]
    if line is None or end is None or column is None or end_column is None:
        return None
    return smallest(tree, (line, column), (end, end_column))


def smallest(tree: ast.AST, first: tuple[int, int], last: tuple[int, int]) -> ast.AST | None:
    """The smallest expression or statement from `first` to `last`, (line, column) each."""
    best: ast.AST | None = None
    size: tuple[int, int] | None = None
    for node in ast.walk(tree):
        start = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        stop = (getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0)
        if not isinstance(node, ast.expr | ast.stmt) or not (start <= first and last <= stop):
            continue
        here = (stop[0] - start[0], stop[1] - start[1] if stop[0] == start[0] else 0)
        if size is None or here <= size:
            best, size = node, here
    return best


def function_of(value: Any) -> tuple[Any, FunctionType | None]:
    """(what ``self`` stands for, the function that runs) where an object is called."""
    holder: Any = LOST
    function: Any = value
    if is_module(value):
        holder, function = value, static(type(value), "forward")
    elif type(value) is MethodType:
        holder, function = value.__self__, value.__func__
    elif is_a(value, type):
        function = None
    elif type(value) is not FunctionType:
        holder, function = value, static(type(value), "__call__")
    if exactly(function, staticmethod, classmethod):
        function = function.__func__
    while type(function) is FunctionType and "__wrapped__" in function.__dict__:
        function = function.__dict__["__wrapped__"]
    return holder, function if type(function) is FunctionType else None

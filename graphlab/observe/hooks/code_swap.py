"""Gives a function of torch other code while a session is open: its own statements, between a call
that is told of its beginning and one that is told of its end.

The function stays the object that it is (torch.compile compares it), in the file and on the lines
where it stands (Dynamo decides by the file's name what to skip), and a call of it is one frame, as
before: tracebacks and the depth of the stack are those of an unwatched program.
"""

from __future__ import annotations
import __future__

import ast
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

# What stands in the new code for the two calls, until its constants are replaced.
_ENTER, _LEAVE = "<graphlab: enter>", "<graphlab: leave>"


class Swap:
    """`enter` is given the function's first argument and returns what `leave` is given. Both must
    not raise. `code` is the code that stands there while the swap is in, None while it is not, and
    where the function's source cannot be read or is not what runs."""

    def __init__(
        self, function: Any, enter: Callable[[Any], Any], leave: Callable[[Any], None]
    ) -> None:
        self._function, self._calls = function, (enter, leave)
        self._before: CodeType | None = None
        self.code: CodeType | None = None

    def put_in(self) -> None:
        function = self._function
        if not isinstance(function, FunctionType) or function.__closure__:
            return
        made = _surrounded(function)
        if made is not None:
            self._before = function.__code__
            # A code object hides from the garbage collector what its constants hold.
            self.code = function.__code__ = _with(made, *self._calls)

    def take_out(self) -> None:
        """Safe to call twice. Code that somebody else has put there since stays."""
        if self.code is not None and self._function.__code__ is self.code:
            self._function.__code__ = self._before
        self.code = None

    def step_aside(self) -> None:
        """Until `step_back`, the function has its own code. Safe to call twice, as that is."""
        if self.code is not None and self._function.__code__ is self.code:
            self._function.__code__ = self._before

    def step_back(self) -> None:
        if self.code is not None and self._function.__code__ is self._before:
            self._function.__code__ = self.code


def _surrounded(function: FunctionType) -> CodeType | None:
    try:
        lines, first = inspect.getsourcelines(function)
        # A method's lines are indented: columns must stay what they are.
        head = "if True:\n" if lines[0][:1].isspace() else "\n"
        tree = ast.parse(head + "".join(lines))
    except (OSError, TypeError, SyntaxError):
        return None
    ast.increment_lineno(tree, first - 2)
    found = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)][:1]
    if not found:
        return None
    definition = found[0]
    definition.decorator_list = []
    plain = _compiled(tree, function)
    if plain is None or not _same(plain, function.__code__):
        return None
    arguments = [*definition.args.posonlyargs, *definition.args.args]
    if not arguments:
        return None
    body = definition.body
    start = 1 if ast.get_docstring(definition, clean=False) is not None else 0
    before = ast.parse(
        f"_graphlab_enter, _graphlab_leave = {_ENTER!r}, {_LEAVE!r}\n"
        f"_graphlab_token = _graphlab_enter({arguments[0].arg})\n"
        "try:\n    pass\nfinally:\n    _graphlab_leave(_graphlab_token)"
    ).body
    for statement in before:
        for each in ast.walk(statement):
            ast.copy_location(each, body[min(start, len(body) - 1)])
    block = before[-1]
    assert isinstance(block, ast.Try)
    block.body = body[start:]
    definition.body = [*body[:start], *before]
    return _compiled(tree, function)


def _compiled(tree: ast.Module, function: FunctionType) -> CodeType | None:
    code = function.__code__
    try:
        # torch's modules all have it or not: the code tells by its flags.
        future = code.co_flags & __future__.annotations.compiler_flag
        module = compile(tree, code.co_filename, "exec", flags=future, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    inner = [each for each in module.co_consts if isinstance(each, CodeType)]
    if len(inner) != 1:
        return None
    # A decorator's line is where a function begins.
    return inner[0].replace(co_qualname=code.co_qualname, co_firstlineno=code.co_firstlineno)


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether the source that was read is what runs. Bytecode is not compared: it depends on what
    the whole file imports."""
    return (
        one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_consts == other.co_consts
    )


def _with(code: CodeType, enter: Any, leave: Any) -> CodeType:
    calls = {_ENTER: enter, _LEAVE: leave}

    def put(constant: Any) -> Any:
        if isinstance(constant, tuple) and constant == (_ENTER, _LEAVE):
            return enter, leave
        return calls.get(constant, constant) if isinstance(constant, str) else constant

    return code.replace(co_consts=tuple(put(each) for each in code.co_consts))

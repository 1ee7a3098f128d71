"""Replaces the code of a Python function of torch's by its own code with calls before and after.

The function object stays the same (torch.compile compares it by identity), the new code has the
same file and lines (Dynamo skips by file name), and a call is still one frame, so tracebacks and
the depth of the stack do not change.
"""

from __future__ import annotations
import __future__

import ast
import inspect
from collections.abc import Callable
from threading import get_ident
from types import CodeType, FunctionType
from typing import Any

# A placeholder in the new code's constants for what `Swap` is given.
_HOLES = ("<graphlab: enter>", "<graphlab: leave>", "<graphlab: fail>", "<by>", "<thread>")


class Threads(list[int]):
    """Identities of threads; hashable, as the constant of a code has to be."""

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]


class Swap:
    """`enter` is called with the function's first argument, unless `passed_by` begins with the
    identity of the thread. Where it returns something, `leave` is called with that and with the
    function's own result, None if it raised; `fail` before that, with what `enter` returned, while
    the exception is handled. None may raise. `code` is the new code while it is in place, else
    None: also where the source of the function cannot be read or does not match its code."""

    def __init__(
        self,
        function: Any,
        enter: Callable[[Any], Any],
        leave: Callable[[Any, Any], None],
        fail: Callable[[Any], None] | None = None,
        passed_by: Threads | tuple[()] = (),
    ) -> None:
        self._function, self._calls = function, (enter, leave, fail, passed_by, get_ident)
        self._before: CodeType | None = None
        self.code: CodeType | None = None

    def put_in(self) -> None:
        function = self._function
        if not isinstance(function, FunctionType) or function.__closure__:
            return
        fails = self._calls[2] is not None
        made = _MADE.get((function.__code__, fails)) or _surrounded(function, fails)
        if made is not None:
            _MADE[function.__code__, fails] = made
            self._before = function.__code__
            # The garbage collector does not look into code objects: no cycle may run through it.
            self.code = function.__code__ = _with(made, self._calls)

    def take_out(self) -> None:
        """Restore the code unless somebody else has replaced it since. Safe to call twice."""
        if self.code is not None and self._function.__code__ is self.code:
            self._function.__code__ = self._before
        self.code = None

    def holds(self, function: Any) -> bool:
        """Whether it is this function whose code is swapped."""
        return self.code is not None and self._function is function

    def step_aside(self) -> None:
        """Restore the code until `step_back`. Both are safe to call twice."""
        if self.code is not None and self._function.__code__ is self.code:
            self._function.__code__ = self._before

    def step_back(self) -> None:
        if self.code is not None and self._function.__code__ is self._before:
            self._function.__code__ = self.code


# What was made of torch's functions in this process, which takes milliseconds each.
_MADE: dict[tuple[CodeType, bool], CodeType] = {}


def _surrounded(function: FunctionType, fails: bool) -> CodeType | None:
    """The function's code, with placeholders for what is called around it."""
    try:
        lines, first = inspect.getsourcelines(function)
        # A method's lines are indented; dedenting them would change the columns.
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
    handler = (
        "except BaseException:\n    if _graphlab_token is not None:\n"
        "        _graphlab_fail(_graphlab_token)\n    raise\n"
    )
    before = ast.parse(
        "_graphlab_enter, _graphlab_leave, _graphlab_fail, _graphlab_by, _graphlab_ident = "
        f"{_HOLES!r}\n"
        "_graphlab_result = _graphlab_token = None\n"
        "if not _graphlab_by or _graphlab_by[0] != _graphlab_ident():\n"
        f"    _graphlab_token = _graphlab_enter({arguments[0].arg})\n"
        f"try:\n    pass\n{handler if fails else ''}finally:\n"
        "    if _graphlab_token is not None:\n"
        "        _graphlab_leave(_graphlab_token, _graphlab_result)"
    ).body
    for statement in before:
        for each in ast.walk(statement):
            ast.copy_location(each, body[min(start, len(body) - 1)])
    block = before[-1]
    assert isinstance(block, ast.Try)
    block.body = [_Returns().visit(each) for each in body[start:]]
    definition.body = [*body[:start], *before]
    return _compiled(tree, function)


class _Returns(ast.NodeTransformer):
    """Keeps what a function returns in a variable as well."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        if node.value is not None:
            kept = ast.copy_location(ast.Name("_graphlab_result", ast.Store()), node.value)
            node.value = ast.copy_location(ast.NamedExpr(kept, node.value), node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node


def _compiled(tree: ast.Module, function: FunctionType) -> CodeType | None:
    code = function.__code__
    try:
        # Whether the file has `from __future__ import annotations` shows in the code's flags.
        future = code.co_flags & __future__.annotations.compiler_flag
        module = compile(tree, code.co_filename, "exec", flags=future, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    inner = [each for each in module.co_consts if isinstance(each, CodeType)]
    if len(inner) != 1:
        return None
    # The decorators were removed, and a function begins at the first of them.
    return inner[0].replace(co_qualname=code.co_qualname, co_firstlineno=code.co_firstlineno)


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether the source that was read is what runs. Bytecode is not compared: it may differ
    with what else the file holds."""
    return (
        one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_same_constant, one.co_consts, other.co_consts))
    )


def _same_constant(one: Any, other: Any) -> bool:
    """Code inside the function has another qualified name when the function is compiled alone."""
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _same(one, other)
    return type(one) is type(other) and one == other


def _with(code: CodeType, calls: tuple[Any, ...]) -> CodeType:
    found = (calls if each == _HOLES else each for each in code.co_consts)
    return code.replace(co_consts=tuple(found))

"""Finds the statements of a function that change what outlives its call, or that no second call
repeats."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# Methods of Python's own containers, and of caches named like them, that change their receiver.
_CHANGING = {
    "append", "appendleft", "extend", "insert", "update", "add", "pop", "popleft", "popitem",
    "remove", "discard", "clear", "setdefault", "push", "put", "store", "write", "register_buffer",
    "register_parameter", "add_module", "increment", "advance", "tick", "record",
}  # fmt: skip
# Modules whose functions give something else at each call, besides torch's, which a checkpoint
# repeats.
# Methods of a generator of the program's own.
_DRAWING = {"randint", "random", "choice", "choices", "integers", "permutation", "shuffle", "gauss"}
_RANDOM = ("random", "np.random", "numpy.random", "secrets", "time", "uuid")


@dataclass(frozen=True, slots=True)
class Change:
    """`statement` changes `path`: ``self.step`` for ``self.step += 1``."""

    statement: ast.stmt
    path: str
    function: Function


def changes(function: Function) -> Iterator[Change]:
    """The statements of a function that change something which outlives its call."""
    if isinstance(function, ast.Lambda):
        return
    own = _own(function)
    declared = {
        name
        for node in ast.walk(function)
        if isinstance(node, ast.Global | ast.Nonlocal)
        for name in node.names
    }
    for statement in _statements(function):
        for path in _changed(statement, declared):
            if path.split(".")[0].split("[")[0] not in own:
                yield Change(statement, path, function)


def _changed(statement: ast.stmt, declared: set[str]) -> Iterator[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = [*statement.targets]
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.Delete):
        targets = [*statement.targets]
    while targets:
        target = targets.pop()
        if isinstance(target, ast.Tuple | ast.List):
            targets += target.elts
        elif isinstance(target, ast.Starred):
            targets.append(target.value)
        elif isinstance(target, ast.Attribute):
            yield ast.unparse(target)
        elif isinstance(target, ast.Subscript):
            yield ast.unparse(target.value)
        elif isinstance(target, ast.Name) and target.id in declared:
            yield target.id
    for node in _expressions(statement):
        if isinstance(node, ast.NamedExpr) and node.target.id in declared:
            yield node.target.id
        if not isinstance(node, ast.Call):
            continue
        func = node.func
        if isinstance(func, ast.Attribute) and func.attr in _DRAWING:
            if not ast.unparse(func).startswith(("torch.", *(f"{name}." for name in _RANDOM))):
                yield ast.unparse(func.value)
        elif isinstance(func, ast.Attribute) and func.attr in _CHANGING:
            yield _registered(node, func) or ast.unparse(func.value)
        elif isinstance(func, ast.Name) and func.id in ("next", "setattr") and node.args:
            yield _set(node) or ast.unparse(node.args[0])


def _registered(call: ast.Call, func: ast.Attribute) -> str | None:
    """``self.mask`` for ``self.register_buffer("mask", …)``."""
    name = call.args[0] if call.args else None
    known = isinstance(name, ast.Constant) and type(name.value) is str
    if func.attr.startswith(("register_", "add_module")) and known:
        return f"{ast.unparse(func.value)}.{name.value}"  # pyright: ignore
    return None


def _set(call: ast.Call) -> str | None:
    """``self.mask`` for ``setattr(self, "mask", …)``."""
    if getattr(call.func, "id", "") != "setattr" or len(call.args) < 2:
        return None
    name = call.args[1]
    if isinstance(name, ast.Constant) and type(name.value) is str:
        return f"{ast.unparse(call.args[0])}.{name.value}"
    return None


def _own(function: Function) -> set[str]:
    """The variables that hold what the call itself made: assigned from a literal, a comprehension
    or an expression of calls, and never from a plain attribute, item or name."""
    made: set[str] = set()
    other: set[str] = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    for statement in _statements(function):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                for name in _names(target):
                    kept = isinstance(statement.value, ast.Name | ast.Attribute | ast.Subscript)
                    (other if kept else made).add(name)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            made.add(statement.target.id)
        elif isinstance(statement, ast.For):
            other.update(_names(statement.target))
        elif isinstance(statement, ast.With):
            for each in statement.items:
                made.update(_names(each.optional_vars) if each.optional_vars is not None else ())
    return made - other


def _names(target: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}


def _statements(function: Function) -> Iterator[ast.stmt]:
    """Its own statements, without those of functions inside it."""
    stack: list[ast.AST] = [*function.body] if isinstance(function.body, list) else []
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.stmt):
            yield node
        stack.extend(ast.iter_child_nodes(node))


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement, without those of statements inside it."""
    stack: list[ast.AST] = [*ast.iter_child_nodes(statement)]
    while stack:
        node = stack.pop()
        if not isinstance(node, ast.stmt | ast.Lambda | ast.ExceptHandler):
            yield node
            stack.extend(ast.iter_child_nodes(node))


def condition(statement: ast.stmt | None) -> ast.expr | None:
    """What decides which line comes after this statement."""
    if isinstance(statement, ast.If | ast.While):
        return statement.test
    if isinstance(statement, ast.For):
        return statement.iter
    if isinstance(statement, ast.Assert):
        return statement.test
    return None


def read_paths(node: ast.AST) -> set[str]:
    """The variables and attributes that an expression or statement reads, as they are written."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name | ast.Attribute) and isinstance(each.ctx, ast.Load):
            found.add(ast.unparse(each))
    return found


def reads(node: ast.AST, path: str) -> bool:
    """Whether `node` reads `path`, or something in it."""
    return any(each == path or each.startswith(f"{path}.") for each in read_paths(node))


def unrepeatable(node: ast.AST) -> bool:
    """Whether it calls something that gives another value each time, such as ``random.random()``,
    whose state a checkpoint does not restore."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            called = ast.unparse(each.func)
            if called.startswith(tuple(f"{name}." for name in _RANDOM)):
                return True
            if any(word.arg == "generator" and _is_own(word.value) for word in each.keywords):
                return True
    return False


def _is_own(generator: ast.expr) -> bool:
    """Whether it is a generator of the program's own: a checkpoint restores torch's alone."""
    return not (
        isinstance(generator, ast.Constant) or ast.unparse(generator).endswith("default_generator")
    )


def sliced(function: Function, paths: set[str], before: int) -> list[ast.stmt]:
    """The statements above line `before` that the variables `paths` were computed by, the nearest
    first."""
    wanted = set(paths)
    found = []
    above = [each for each in _statements(function) if each.lineno < before]
    for statement in sorted(above, key=lambda each: -each.lineno):
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            bound = {name for each in targets for name in _stored(each)}
            if bound & wanted:
                found.append(statement)
                if statement.value is not None:
                    wanted |= read_paths(statement.value)
    return found


def _stored(target: ast.expr) -> set[str]:
    return {
        ast.unparse(each)
        for each in ast.walk(target)
        if isinstance(each, ast.Name | ast.Attribute) and isinstance(each.ctx, ast.Store)
    }

"""Finds the statements that write in place and the calls of step() and backward() in a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from graphlab.source.places import parse, place
from graphlab.source.vocabulary import CLIPPING, LIBRARIES, NOT_WRITERS, VIEWS
from graphlab.trace.model import Location


@dataclass(frozen=True, slots=True)
class Scope:
    """The function, class and loops around a statement."""

    file: str
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    owner: str | None = None
    loops: tuple[ast.For | ast.While, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A write, step() or backward().

    target: the variable that is written, stepped or differentiated. by: the text for what does it.
    other: the first argument of a step(), because GradScaler.step() takes the optimizer.
    """

    kind: Literal["write", "load", "step", "backward"]
    target: ast.expr
    by: str
    scope: Scope
    node: ast.expr | ast.stmt
    other: ast.expr | None = None

    @property
    def at(self) -> Location:
        return place(self.node, self.scope.file, self.scope.path or "<module>")

    def initialises(self) -> bool:
        """Whether it is in a function that initialises parameters, such as ``weights_init``."""
        function = self.scope.function
        return function is not None and any(
            word in function.name for word in ("init", "reset_parameters")
        )


def statements(file: str) -> list[Statement]:
    """All such statements of a file, in order; empty if it cannot be read."""
    tree = parse(file)
    return list(_of(tree.body, Scope(file))) if tree is not None else []


def _of(nodes: list[ast.stmt], scope: Scope) -> Iterator[Statement]:
    for node in nodes:
        yield from _in(node, scope)


def _in(node: ast.stmt, scope: Scope) -> Iterator[Statement]:
    file = scope.file
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        path = f"{scope.path}.{node.name}" if scope.path else node.name
        yield from _of(node.body, Scope(file, node, scope.owner, (), path))
        return
    if isinstance(node, ast.ClassDef):
        path = f"{scope.path}.{node.name}" if scope.path else node.name
        yield from _of(node.body, Scope(file, None, node.name, (), path))
        return
    inner = scope
    if isinstance(node, ast.For | ast.While):
        loops = (*scope.loops, node)
        inner = Scope(file, scope.function, scope.owner, loops, scope.path)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _in(child, inner)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _of(child.body, inner)
        else:
            for each in ast.walk(child):
                if isinstance(each, ast.Call):
                    yield from _call(each, inner)
    target, by = None, ""
    if isinstance(node, ast.AugAssign):
        target, by = node.target, f"{ast.unparse(node.target)} {_operator(node.op)}= …"
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        # A string is a key of a dictionary, whose item is replaced: no tensor is written.
        target = node.targets[0] if not _is_text(node.targets[0].slice) else None
        by = f"{ast.unparse(node.targets[0].value)}[…] = …"
    base = _base(target) if target is not None else None
    if base is not None:
        yield Statement("write", base, by, inner, node)


def _call(node: ast.Call, scope: Scope) -> Iterator[Statement]:
    func = node.func
    by = f"{ast.unparse(func)}()"
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    first = node.args[0] if node.args else None
    words = {word.arg: word.value for word in node.keywords}
    target, kind = None, "write"
    if name == "step" and isinstance(func, ast.Attribute):
        yield Statement("step", func.value, by, scope, node, first)
        return
    if name in ("backward", "grad"):
        target = _loss_of(node, name, words)
        if target is not None:
            yield Statement("backward", target, by, scope, node)
        return
    if name == "load_state_dict" and isinstance(func, ast.Attribute):
        target, kind = func.value, "load"
    elif name.endswith("_") and not name.endswith("__") and name not in NOT_WRITERS | CLIPPING:
        plain = not isinstance(func, ast.Attribute) or _library(func.value)
        target = first if plain else func.value  # pyright: ignore[reportAttributeAccessIssue]
    elif "out" in words:
        target = words["out"]
    elif getattr(words.get("inplace"), "value", False) is True and first is not None:
        target = first
    base = _base(target) if target is not None else None
    if base is not None:
        yield Statement(kind, base, by, scope, node)  # pyright: ignore[reportArgumentType]


def _loss_of(node: ast.Call, name: str, words: dict[str | None, ast.expr]) -> ast.expr | None:
    """The loss expression of a backward() or autograd.grad() call."""
    func, first = node.func, node.args[0] if node.args else None
    receiver = func.value if isinstance(func, ast.Attribute) else None
    if receiver is not None and ast.unparse(receiver).endswith("autograd"):
        return first or words.get("tensors") or words.get("outputs")
    if name == "grad":
        return first or words.get("outputs") if receiver is None else None
    if isinstance(receiver, ast.Call) and getattr(receiver.func, "attr", "") == "scale":
        return receiver.args[0] if receiver.args else receiver
    return receiver


def _line_reached(statement: Statement, places: list[Location]) -> int | None:
    """The line that the function or module of `statement` was at when the program failed; None if
    it was not on the stack."""
    scope = statement.scope
    for each in places:
        function = each.function.replace("<locals>.", "")
        if each.file == scope.file and function == (scope.path or "<module>"):
            return each.line
    return None


def may_have_run(statement: Statement, places: list[Location]) -> bool:
    """Whether a statement may have run before the failure. One of a module has not if it is below
    the line reached, and in no loop with that line."""
    line = _line_reached(statement, places)
    if line is None or statement.scope.path or statement.node.lineno <= line:
        return True
    return any(loop.lineno <= line for loop in statement.scope.loops)


def before_the_loop(statement: Statement, source: list[Statement], places: list[Location]) -> bool:
    """Whether a statement is above the loop in which the program failed."""
    line = _line_reached(statement, places)
    if line is None:
        return False
    scope = statement.scope
    around = [
        loop.lineno
        for each in source
        for loop in each.scope.loops
        if (each.scope.file, each.scope.path) == (scope.file, scope.path)
        and loop.lineno <= line <= (loop.end_lineno or 0)
    ]
    return bool(around) and statement.node.lineno < min(around)


def assigned(name: str, scope: Scope) -> list[ast.expr]:
    """The expressions that the function of `scope` assigns to `name`, iterables of for included."""
    found = []
    for node in ast.walk(scope.function) if scope.function is not None else ():
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            found.append(node.value)
        elif isinstance(node, ast.For) and any(
            isinstance(target, ast.Name) and target.id == name for target in ast.walk(node.target)
        ):
            found.append(node.iter)
    return found


def is_argument(name: str, scope: Scope) -> bool:
    """Whether `name` is a parameter of the function of `scope`."""
    arguments = scope.function.args if scope.function is not None else None
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs] if arguments else []
    return any(each.arg == name for each in every)


def lists_tensors(node: ast.AST) -> bool:
    """Whether it is a call such as ``D.parameters()`` or ``D.modules()``."""
    func = node.func if isinstance(node, ast.Call) else None
    return isinstance(func, ast.Attribute) and func.attr in (
        "parameters", "named_parameters", "buffers", "named_buffers", "modules", "children",
    )  # fmt: skip


def keeps_graph(node: ast.expr | ast.stmt) -> bool | None:
    """Whether a backward call retains its graph; None if the argument is not a constant."""
    for word in getattr(node, "keywords", ()):
        if word.arg in ("retain_graph", "create_graph"):
            value = word.value
            if not isinstance(value, ast.Constant):
                return None
            if value.value:
                return True
    return False


def _library(node: ast.expr) -> bool:
    return ast.unparse(node).split(".")[0] in LIBRARIES


def _operator(operator: ast.operator) -> str:
    made = ast.AugAssign(ast.Name("x"), operator, ast.Name("y"))
    return ast.unparse(made).split()[1].removesuffix("=")


def _base(node: ast.expr) -> ast.expr | None:
    """The variable that an expression is a slice or view of. None for `.data` and `.grad`: writes
    to those do not change the variable's version counter."""
    while True:
        if isinstance(node, ast.Attribute) and node.attr in ("data", "grad"):
            return None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        elif _is_view(node):
            node = node.value  # pyright: ignore[reportAttributeAccessIssue]
        else:
            return node if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) else None


def _is_text(node: ast.expr) -> bool:
    """Whether a key is a string, or a tuple with one."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(
        isinstance(each, ast.JoinedStr)
        or (isinstance(each, ast.Constant) and isinstance(each.value, str))
        for each in parts
    )


def holds_items(node: ast.AST) -> bool:
    """Whether it makes a dictionary or list, whose items are replaced when they are assigned."""
    if isinstance(node, ast.Dict | ast.DictComp | ast.List | ast.ListComp):
        return True
    func = node.func if isinstance(node, ast.Call) else None
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name in ("dict", "list", "defaultdict", "OrderedDict", "Counter", "deque", "fromkeys")


def _is_view(node: ast.expr) -> bool:
    """Whether an expression is a slice or view of another, or an item of a list. An item with a
    string key is taken for one of a dict."""
    if isinstance(node, ast.Subscript):
        return not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str))
    return isinstance(node, ast.Attribute) and node.attr in VIEWS

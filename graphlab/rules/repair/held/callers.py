"""Where one body of statements leads to two places, by itself or by what it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.model import Location, Trace

# How many functions may lie between a statement and the place.
_DEEP = 3
# Every network has these.
_ANY = ("forward", "__call__")


@dataclass(frozen=True, slots=True)
class Common:
    """A body in which the statement `first` leads to the one place, and `last`, further down, to
    the other one."""

    file: Rewriting
    body: list[ast.stmt]
    first: ast.stmt
    last: ast.stmt

    @property
    def before(self) -> list[ast.stmt]:
        return self.body[: self.body.index(self.first)]

    @property
    def between(self) -> list[ast.stmt]:
        return self.body[self.body.index(self.first) + 1 : self.body.index(self.last)]


class Callers:
    """The user's files, and the names that each of their functions calls. `at`: any place there."""

    def __init__(self, trace: Trace, at: Location) -> None:
        found = (Rewriting.of(trace, replace(at, file=path)) for path in sorted(trace.sources))
        self.files = [each for each in found if each is not None]
        self.functions = [
            node
            for file in self.files
            for node in ast.walk(file.tree)
            if isinstance(node, Function)
        ]
        self._calls = [
            (node.name, {called(each) for each in ast.walk(node) if isinstance(each, ast.Call)})
            for node in self.functions
        ]

    def common(self, first: Location, last: Location) -> Iterator[Common]:
        """The bodies that lead to both places, those further in before those around them."""
        one, other = self.leading_to(first), self.leading_to(last)
        found: list[Common] = []
        for file in self.files:
            for node in ast.walk(file.tree):
                for body in (getattr(node, each, None) for each in ("body", "orelse", "finalbody")):
                    if not isinstance(body, list) or len(body) < 2:
                        continue
                    ends = [at for at, each in enumerate(body) if leads(file, each, last, other)]
                    begins = [
                        at
                        for at, each in enumerate(body)
                        if ends and at < ends[-1] and leads(file, each, first, one)
                    ]
                    if begins and file.body(body[0]):
                        found.append(Common(file, body, body[begins[-1]], body[ends[-1]]))
        found.sort(key=lambda each: each.last.lineno - each.first.lineno)
        yield from found

    def leading_to(self, place: Location) -> set[str]:
        """The names of the functions that hold a place, or call one that does."""
        own = next((each for each in self.files if each.file == place.file), None)
        statement = own.statement(place.line) if own is not None else None
        function = own.function(statement) if own is not None and statement is not None else None
        return self.calling({function.name} if function is not None else set[str]())

    def calling(self, names: set[str]) -> set[str]:
        """These names of functions, and those of the functions that call one of them."""
        for _ in range(_DEEP):
            names = names | {
                name for name, calls in self._calls if name not in _ANY and calls & names
            }
        return names


def leads(file: Rewriting, statement: ast.stmt, place: Location, names: set[str]) -> bool:
    """Whether a statement holds a place, or calls a function of these names. A definition does
    neither."""
    if isinstance(statement, Function | ast.ClassDef):
        return False
    if file.file == place.file and statement.lineno <= place.line <= (statement.end_lineno or 0):
        return True
    return any(isinstance(each, ast.Call) and called(each) in names for each in ast.walk(statement))


def called(call: ast.Call) -> str:
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def handed_in(
    trace: Trace, at: Location, file: Rewriting, given: ast.expr | None
) -> tuple[Rewriting, ast.expr] | None:
    """The argument, in the caller's file, that ``given``, a parameter of the function around it,
    stands for; None where it is no parameter, or has another value by then, or several callers."""
    function = file.function(given) if given is not None else None
    if function is None or not isinstance(given, ast.Name):
        return None
    called_once = _only_call(trace, at, file, function)
    names = _arguments(function)
    stored = {
        each.id
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    if given.id not in names or given.id in stored or called_once is None:
        return None
    other, call, bound = called_once
    value = _given(call, names.index(given.id) - bound, given.id)
    return (other, value) if value is not None else None


def called_here(trace: Trace, at: Location, file: Rewriting, near: ast.AST, name: str) -> str:
    """What the function around `near` calls what its one caller calls `name`: its parameter; the
    same name where there is no such function, caller or parameter."""
    function = file.function(near)
    called_once = _only_call(trace, at, file, function) if function is not None else None
    if function is None or called_once is None:
        return name
    _, call, bound = called_once
    root, dot, rest = name.partition(".")
    for place, own in enumerate(_arguments(function)):
        value = _given(call, place - bound, own)
        said = ast.unparse(value) if value is not None else ""
        if said == name:
            return own
        if said == root:
            return f"{own}{dot}{rest}"
    return name


def returned_here(trace: Trace, at: Location, file: Rewriting, near: ast.AST, name: str) -> str:
    """What the function around `near` calls what it returns and its one caller then calls `name`:
    ``g_model`` of ``return g_model, optim`` where that is ``g, optim = build()``. The same name
    where that is not so."""
    function = file.function(near)
    called_once = _only_call(trace, at, file, function) if function is not None else None
    if function is None or called_once is None:
        return name
    other, call, _ = called_once
    binding = other.parents.get(id(call))
    returns = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
    if not isinstance(binding, ast.Assign) or len(binding.targets) != 1 or len(returns) != 1:
        return name
    pairs = zip(_elements(binding.targets[0]), _elements(returns[0]), strict=False)
    root, dot, rest = name.partition(".")
    given = {ast.unparse(one): ast.unparse(back) for one, back in pairs}
    found = given.get(root, "")
    return f"{found}{dot}{rest}" if found.isidentifier() else name


def _elements(node: ast.expr | None) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node] if node is not None else []


def _arguments(function: Function) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args)]


def _given(call: ast.Call, place: int, name: str) -> ast.expr | None:
    words = [each.value for each in call.keywords if each.arg == name]
    plain = not any(isinstance(each, ast.Starred) for each in call.args)
    if words:
        return words[0]
    return call.args[place] if plain and 0 <= place < len(call.args) else None


def _only_call(
    trace: Trace, at: Location, file: Rewriting, function: Function
) -> tuple[Rewriting, ast.Call, bool] | None:
    """The one call of a function, the file of the caller, and whether it is a method; None where it
    is called in several places, or others have its name."""
    bound = isinstance(file.parents.get(id(function)), ast.ClassDef)
    known = Callers(trace, at)
    same = [each for each in known.functions if each.name == function.name]
    calls = [
        (other, node)
        for other in known.files
        for node in ast.walk(other.tree)
        if isinstance(node, ast.Call) and called(node) == function.name
    ]
    if len(calls) != 1 or len(same) != 1 or function.decorator_list:
        return None
    return (*calls[0], bound)

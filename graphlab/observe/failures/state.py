"""Finds the line that made the second pass of a checkpoint differ from the first: one that changes
what outlives the pass, that draws a random number, or that ran between the two."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

from graphlab.language import message
from graphlab.observe.failures.passes import Passes, Ran
from graphlab.observe.notes import Log
from graphlab.source.effects.assignments import scope_of
from graphlab.source.effects.outliving import (
    Change,
    Function,
    changes,
    condition,
    read_paths,
    sliced,
    unrepeatable,
)
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes
from graphlab.source.places import line_place, parse, statement_at
from graphlab.trace.model import Location

_TOGGLES = ("eval", "train", "requires_grad_", "freeze", "unfreeze")


class Blame(NamedTuple):
    """The line to change; `by` is what it does, `why` the end of a sentence about the pass."""

    at: Location
    by: str
    why: str


@dataclass(frozen=True)
class _Found:
    """A change of lasting state, at the line that the checkpointed code makes it from."""

    at: Location
    change: Change
    first: bool
    # What it changes, as that line calls it.
    name: str


def blamed(
    bodies: list[CodeType], found: Passes | None, files: UserFiles, log: Log | None
) -> Blame | None:
    """None where several lines may be to blame, or none was found."""
    if found is None:
        return _by_source(bodies, files)
    search = _Search(found, files, log)
    return search.blame()


class _Search:
    def __init__(self, found: Passes, files: UserFiles, log: Log | None) -> None:
        self._passes, self._files, self._log = found, files, log
        self._changes = [*self._lasting(found.first, True), *self._lasting(found.second, False)]

    def blame(self) -> Blame | None:
        parted = self._passes.diverged()
        if parted is not None:
            at = self._passes.second[parted[1]]
        else:
            index = self._passes.unequal()
            at = self._passes.second[index] if index is not None else None
        if at is not None:
            found = self._deciding(at, parted is not None)
            if found is not None:
                return found
        return self._only() if at is None or parted is None else self._alone()

    def _deciding(self, ran: Ran, branch: bool) -> Blame | None:
        """What the line at which the passes differ depends on."""
        file = ran.code.co_filename
        statement = statement_at(file, ran.line)
        function = _function(ran.code)
        if statement is None or function is None:
            return None
        node: ast.AST | None = condition(statement) if branch else statement
        if node is None:
            node = statement
        paths = read_paths(node)
        above = sliced(function, paths, statement.lineno)
        for each in (node, *above):
            paths |= read_paths(each)
            if unrepeatable(each):
                line = each.lineno if isinstance(each, ast.stmt) else ran.line
                return _at(ran.code, line, message("observed.checkpoint.random"))
        fits = [each for each in self._changes if _related(each.change.path, paths)]
        return _one(fits) or self._outside(paths, every=False)

    def _only(self) -> Blame | None:
        """The one change that what ran also reads; else the one random number; else the one switch
        between the passes."""
        statements = self._statements()
        fits = [each for each in self._changes if _is_read(each.change, statements)]
        if fits:
            return _one(fits)
        drawn = self._drawn()
        if drawn:
            return drawn[0] if len(drawn) == 1 else None
        paths: set[str] = set()
        for each in statements:
            paths |= read_paths(each)
        return self._outside(paths, every=True)

    def _drawn(self) -> list[Blame]:
        """The lines that draw random numbers."""
        # A comprehension has a code of its own.
        codes = {
            (ran.code.co_filename, statement.lineno): ran.code
            for ran, statement in self._ran()
            if not hasattr(statement, "body") and unrepeatable(statement)
        }
        random = message("observed.checkpoint.random")
        return [_at(code, line, random) for (_, line), code in codes.items()]

    def _alone(self) -> Blame | None:
        statements = self._statements()
        if not self._changes:
            # What a branch hangs on may have been drawn in a function that it calls.
            drawn = self._drawn()
            return drawn[0] if len(drawn) == 1 else None
        return _one([each for each in self._changes if _is_read(each.change, statements)])

    def _outside(self, paths: set[str], every: bool) -> Blame | None:
        """The one statement between the passes that changed what they read."""
        names = {path.rsplit(".", 1)[-1] for path in paths}
        found: dict[tuple[str, int], Blame] = {}
        for ran in self._passes.between:
            statement = statement_at(ran.code.co_filename, ran.line)
            if statement is None or hasattr(statement, "body"):
                continue
            if _switches(statement, names, every):
                blame = _at(ran.code, statement.lineno, "")
                why = message("observed.checkpoint.between", by=blame.by)
                found[(blame.at.file, blame.at.line)] = blame._replace(why=why)
        return next(iter(found.values())) if len(found) == 1 else None

    def _ran(self) -> Iterator[tuple[Ran, ast.stmt]]:
        for ran in (*self._passes.first, *self._passes.second):
            statement = statement_at(ran.code.co_filename, ran.line)
            if statement is not None:
                yield ran, statement

    def _statements(self) -> list[ast.stmt]:
        return list({id(each): each for _, each in self._ran()}.values())

    def _lasting(self, lines: list[Ran], first: bool) -> Iterator[_Found]:
        for index, ran in enumerate(lines):
            statement = statement_at(ran.code.co_filename, ran.line)
            for change in _changes(ran.code):
                if change.statement is statement:
                    found = self._from(lines, index, change)
                    if found is not None:
                        yield _Found(found[0], change, first, found[1])

    def _from(self, lines: list[Ran], index: int, change: Change) -> tuple[Location, str] | None:
        """The line to name and what it changes: of an object that keeps state for others, the call
        of its method."""
        name = change.path
        at = index
        while self._is_keeper(lines[at], change):
            code = lines[at].code
            while at >= 0 and lines[at].code is code:
                at -= 1
            if at < 0:
                return None
            name = _receiver(lines[at], code.co_name) or name
            change = Change(change.statement, name, change.function)
        ran = lines[at]
        statement = statement_at(ran.code.co_filename, ran.line)
        line = statement.lineno if statement is not None else ran.line
        return line_place(ran.code.co_filename, line, ran.code.co_qualname), name

    def _is_keeper(self, ran: Ran, change: Change) -> bool:
        """Whether it is a method, of no module, that changes its own object."""
        name = _own_name(ran.code)
        if name is None or change.path.split(".")[0].split("[")[0] != name:
            return False
        known = self._log.modules.get(ran.module) if self._log and ran.module else None
        module = known() if known is not None else None
        for base in type(module).__mro__ if module is not None else ():
            for each in attributes(base).values():
                if getattr(each, "__code__", None) is ran.code:
                    return False
        return True


def _one(found: list[_Found]) -> Blame | None:
    """The one line of `found`; of several, the one of the first pass."""
    for some in (found, [each for each in found if each.first]):
        lines = {(each.at.file, each.at.line): each for each in some}
        if len(lines) == 1:
            each = next(iter(lines.values()))
            why = message("observed.checkpoint.outlives", name=each.name)
            return Blame(each.at, each.at.code, why)
    return None


def _at(code: CodeType, line: int, why: str) -> Blame:
    place = line_place(code.co_filename, line, code.co_qualname)
    return Blame(place, place.code, why)


def _receiver(ran: Ran, method: str) -> str | None:
    """What a line calls `method` of: ``cache`` for ``cache.update(key)``."""
    statement = statement_at(ran.code.co_filename, ran.line)
    for node in ast.walk(statement) if statement is not None else ():
        func = node.func if isinstance(node, ast.Call) else None
        if isinstance(func, ast.Attribute) and func.attr == method:
            return ast.unparse(func.value)
    return None


def _own_name(code: CodeType) -> str | None:
    """``self``, in a method."""
    first = code.co_varnames[0] if code.co_argcount else ""
    return first if "." in code.co_qualname.replace("<locals>.", "") and first == "self" else None


@lru_cache(maxsize=512)
def _changes(code: CodeType) -> tuple[Change, ...]:
    function = _function(code)
    return tuple(changes(function)) if function is not None else ()


def _function(code: CodeType) -> Function | None:
    found = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    return found if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) else None


def _related(path: str, paths: set[str]) -> bool:
    """Whether one of `paths` is `path`, holds it or is in it; an attribute's last name is enough,
    as a method calls its object otherwise than its caller does."""
    last = path.rsplit(".", 1)[-1]
    for each in paths:
        if each == path or path.startswith(f"{each}[") or each.startswith(f"{path}."):
            return True
        if "." in path and "." in each and each.rsplit(".", 1)[-1] == last:
            return True
    return False


def _is_read(change: Change, statements: Iterable[ast.stmt]) -> bool:
    """Whether what ran reads what a statement changed, other than to change it."""
    own = change.statement
    if isinstance(own, ast.Assign | ast.Return | ast.AnnAssign) and own.value is not None:
        called = [each for each in ast.walk(own.value) if isinstance(each, ast.Call)]
        receivers = {
            ast.unparse(each.func.value) for each in called if isinstance(each.func, ast.Attribute)
        }
        if change.path in receivers:
            # It uses what the changing call gives back.
            return True
    for each in statements:
        if each is own or (hasattr(each, "body") and condition(each) is None):
            continue
        node = condition(each) if hasattr(each, "body") else each
        if node is not None and _related(change.path, read_paths(node)):
            stores = isinstance(each, ast.AugAssign) and ast.unparse(each.target) == change.path
            if not stores:
                return True
    return False


def _switches(statement: ast.stmt, names: set[str], every: bool) -> bool:
    for node in ast.walk(statement):
        func = node.func if isinstance(node, ast.Call) else None
        toggles = isinstance(func, ast.Attribute) and func.attr in _TOGGLES
        if toggles and (every or "training" in names):
            return True
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = [*statement.targets]
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    for target in targets:
        if isinstance(target, ast.Attribute):
            if target.attr in names or (every and target.attr == "requires_grad"):
                return True
        elif isinstance(target, ast.Subscript):
            if ast.unparse(target.value).rsplit(".", 1)[-1] in names:
                return True
        elif isinstance(target, ast.Name) and not every and target.id in names:
            return True
    return False


def _by_source(bodies: list[CodeType], files: UserFiles) -> Blame | None:
    """Without a log: the one statement of the checkpointed function that changes lasting state
    which the function reads, or that draws a random number."""
    found: list[_Found] = []
    drawn: list[tuple[CodeType, int]] = []
    for code in bodies:
        function = _function(code)
        if code not in files or function is None:
            continue
        statements = [each for each in ast.walk(function) if isinstance(each, ast.stmt)][1:]
        for change in _changes(code):
            if _is_read(change, statements):
                place = line_place(code.co_filename, change.statement.lineno, code.co_qualname)
                found.append(_Found(place, change, True, change.path))
        drawn += [
            (code, each.lineno)
            for each in statements
            if (node := condition(each) if hasattr(each, "body") else each) is not None
            and unrepeatable(node)
        ]
    if not found and len(drawn) == 1:
        return _at(*drawn[0], message("observed.checkpoint.random"))
    return _one(found) if not drawn else None

"""The user's source as statements: which depend on which variables, and edits of whole lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces lines `first` to `last` (from 1, inclusive) by `text`; inserts it before `first` if
    `last` < `first`."""

    first: int
    last: int
    text: str

    @classmethod
    def of(cls, statement: ast.stmt, text: str) -> Edit:
        """Replaces the lines of a statement by `text`."""
        return cls(statement.lineno, _last(statement), text)


class Block:
    """The innermost list of statements that contains both of two lines; empty if the source does
    not parse, or if two of its statements share a line."""

    def __init__(self, source: str, file: str, one: int, other: int) -> None:
        self.file = file
        self.lines = lines_with_ends(source)
        self.statements: list[ast.stmt] = []
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return
        found = _innermost(tree.body, one, other)
        # Edits replace whole lines, so statements that share a line cannot be edited.
        if all(_last(before) < _first(after) for before, after in pairwise(found)):
            self.statements = found

    def index(self, line: int) -> int | None:
        """The index of the statement at `line`, or None."""
        for at, statement in enumerate(self.statements):
            if _first(statement) <= line <= _last(statement):
                return at
        return None

    def text(self, statement: ast.stmt) -> str:
        """The full lines of a statement."""
        return "".join(self.lines[_first(statement) - 1 : _last(statement)])

    def help(self, text: str, edits: list[Edit]) -> Help:
        """A Help whose `before` and `after` span all the edits and the lines between them."""
        start = min(each.first for each in edits)
        end = max(max(each.last, each.first) for each in edits)
        before = "".join(self.lines[start - 1 : end])
        after: list[str] = []
        line = start
        for each in sorted(edits, key=lambda e: (e.first, e.last)):
            after.extend(self.lines[line - 1 : each.first - 1])
            after.append(each.text)
            line = max(line, each.last + 1, each.first)
        after.extend(self.lines[line - 1 : end])
        return Help(text, before, "".join(after), self.file, start)


def _first(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _last(statement: ast.stmt) -> int:
    return statement.end_lineno or statement.lineno


def _innermost(body: list[ast.stmt], one: int, other: int) -> list[ast.stmt]:
    for statement in body:
        if not (_first(statement) <= min(one, other) and max(one, other) <= _last(statement)):
            continue
        for inner in _bodies(statement):
            if inner and _covers(inner, one) and _covers(inner, other):
                return _innermost(inner, one, other)
        return body
    return body


def _bodies(statement: ast.stmt) -> list[list[ast.stmt]]:
    found = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    found.extend(each.body for each in getattr(statement, "handlers", []))
    found.extend(each.body for each in getattr(statement, "cases", []))
    return found


def _covers(body: list[ast.stmt], line: int) -> bool:
    return any(_first(each) <= line <= _last(each) for each in body)


def shared_names(source: str, line: int) -> set[str]:
    """What the innermost function around a line says that it shares, ``nonlocal`` or ``global``:
    each call finds what the one before it left there."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if function and node.lineno <= line <= (node.end_lineno or 0):
            inner = (e for e in ast.walk(node) if isinstance(e, ast.Nonlocal | ast.Global))
            found = {name for each in inner for name in each.names}
    return found


def bound_names(statement: ast.AST) -> set[str]:
    """The names that a statement binds, attributes as dotted names."""
    return {_dotted(n) for n in ast.walk(statement) if _is_name(n, ast.Store)} - {""}


def read_names(statement: ast.AST) -> set[str]:
    """The names that a statement reads, attributes as dotted names."""
    return {_dotted(n) for n in ast.walk(statement) if _is_name(n, ast.Load)} - {""}


def as_numbers(statement: ast.stmt) -> set[str]:
    """The names of which a statement takes the number alone, as ``loss.item()`` does: what it was
    when it was computed is what is to be told."""
    taken: dict[str, int] = {}
    for each in ast.walk(statement):
        func = each.func if isinstance(each, ast.Call) else None
        if isinstance(func, ast.Attribute) and func.attr in ("item", "tolist"):
            taken[_dotted(func.value)] = taken.get(_dotted(func.value), 0) + 1
        elif isinstance(each, ast.Call) and isinstance(func, ast.Name) and func.id == "float":
            for given in each.args:
                taken[_dotted(given)] = taken.get(_dotted(given), 0) + 1
    read = [_dotted(each) for each in ast.walk(statement) if _is_name(each, ast.Load)]
    return {name for name, count in taken.items() if name and read.count(name) == count}


def _is_name(node: ast.AST, context: type[ast.expr_context]) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, context)


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


class DependentVariables:
    """The variables that depend on the statements at `lines`, after statement number `until`.

    origin: for each of them, the index of the statement that last bound it. simple: whether all of
    those statements are plain assignments that neither draw nor act, so that they can be repeated.
    """

    def __init__(self, block: Block, lines: set[int], until: int) -> None:
        self._block = block
        self.origin: dict[str, int] = {}
        self.simple = True
        for at, statement in enumerate(block.statements[: until + 1]):
            touched = any(_first(statement) <= line <= _last(statement) for line in lines)
            targets = bound_names(statement)
            if touched or read_names(statement) & self.origin.keys():
                plain = isinstance(statement, ast.Assign | ast.AnnAssign) and not acts(statement)
                if targets and not plain:
                    self.simple = False
                for name in targets:
                    self.origin[name] = at
            else:
                for name in targets:
                    self.origin.pop(name, None)

    def recompute(self, start: int, end: int) -> list[tuple[int, list[str]]]:
        """Which variables to recompute, and before which of the statements `start` to `end`:
        (index, names in the order in which they were bound)."""
        stale = dict(self.origin)
        found = []
        for at in range(start, end + 1):
            statement = self._block.statements[at]
            read = read_names(statement) - as_numbers(statement)
            needs = self._closure(read & stale.keys(), stale)
            if needs:
                order = sorted(needs, key=lambda name: (stale[name], name))
                found.append((at, order))
                for name in needs:
                    stale.pop(name)
            for name in bound_names(statement):
                stale.pop(name, None)
        return found

    def _closure(self, names: set[str], stale: dict[str, int]) -> set[str]:
        done: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in done:
                continue
            done.add(name)
            todo.extend(read_names(self._block.statements[stale[name]]) & stale.keys())
        return done

    def statements(self, names: list[str]) -> list[ast.stmt]:
        """The statements that bind `names`, in their order."""
        places = sorted({self.origin[name] for name in names})
        return [self._block.statements[place] for place in places]


def acts(statement: ast.stmt) -> bool:
    """Whether it would do something else when it runs once more: draw an action, step what it acts
    on, or take the next of something."""
    for node in ast.walk(statement):
        func = node.func if isinstance(node, ast.Call) else None
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        draws = name == "sample" and isinstance(node, ast.Call) and not node.args
        if draws or name in ("step", "next", "pop", "popleft", "multinomial", "bernoulli"):
            return True
    return False


Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


class StatementInScope:
    """A statement of the user's code, with the function or module around it."""

    def __init__(self, source: str, at: Location, statement: ast.stmt, scope: Scope) -> None:
        self.source, self.at = source, at
        self.statement, self.scope = statement, scope
        self.block = Block(source, at.file, at.line, at.line)
        self.lines = self.block.lines

    @classmethod
    def of(cls, trace: Trace, at: Location) -> StatementInScope | None:
        """The simple statement at `at`; None if the source does not parse, or other code shares
        its lines."""
        source = trace.sources.get(at.file, "")
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return None
        scope: Scope = tree
        statement: ast.stmt | None = None
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt) and node.lineno <= at.line <= (node.end_lineno or 0):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    scope = node
                elif not hasattr(node, "body"):
                    statement = node
        if statement is None:
            return None
        here = cls(source, at, statement, scope)
        return here if here.owns_its_lines(statement) else None

    def owns_its_lines(self, statement: ast.stmt) -> bool:
        """Whether there is no other code on its lines: edits replace whole lines."""
        before = self.lines[statement.lineno - 1].encode()[: statement.col_offset]
        after = self.lines[(statement.end_lineno or 0) - 1].encode()[statement.end_col_offset :]
        return not before.strip() and after.strip()[:1] in (b"", b"#")

    def following(self) -> Iterator[ast.stmt]:
        """The statements after this one in the same body."""
        for node in ast.walk(self.scope):
            for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
                if isinstance(body, list) and self.statement in body:
                    yield from body[body.index(self.statement) + 1 :]

    def preceding(self) -> list[ast.stmt]:
        """The statements before this one in the same body."""
        for node in ast.walk(self.scope):
            for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
                if isinstance(body, list) and self.statement in body:
                    return body[: body.index(self.statement)]
        return []

    def text(self, node: ast.AST) -> str:
        """The source of a node."""
        return ast.get_source_segment(self.source, node) or ""

    def help(self, text: str, *new: str) -> Help:
        """A Help that replaces this statement by `new`; a comment after it is kept."""
        statement = self.statement
        end = statement.end_lineno or statement.lineno
        indent = " " * statement.col_offset
        body = "\n".join(indent + each for each in new)
        rear = self.lines[end - 1].encode()[statement.end_col_offset :].decode()
        return self.block.help(text, [Edit(statement.lineno, end, body + rear)])

    def may_rebind(self, target: ast.expr) -> bool:
        """Whether rebinding `target` has the effect of writing it in place. It has not if others
        see the old tensor: a loop variable, one read from an attribute or item, or one that is not
        used again here."""
        if not isinstance(target, ast.Name):
            return isinstance(target, ast.Attribute | ast.Subscript)
        if not self.used_later(target.id):
            return False
        stores = [n for n in self._names(target.id) if isinstance(n.ctx, ast.Store)]
        loops = [n for n in ast.walk(self.scope) if isinstance(n, ast.For | ast.comprehension)]
        if any(store in ast.walk(loop.target) for loop in loops for store in stores):
            return False
        bound = [
            node
            for node in ast.walk(self.scope)
            if isinstance(node, ast.Assign)
            and node.lineno < self.statement.lineno
            and target.id in [each.id for each in node.targets if isinstance(each, ast.Name)]
        ]
        if bound:
            value = max(bound, key=lambda node: node.lineno).value
            return not isinstance(value, ast.Attribute | ast.Subscript)
        earlier = any(n.lineno < self.statement.lineno for n in stores)
        return earlier or self._is_parameter(target.id)

    def used_later(self, name: str) -> bool:
        """Whether a variable is read after this statement, in its scope."""
        end = self.statement.end_lineno or self.statement.lineno
        loads = [n for n in self._names(name) if isinstance(n.ctx, ast.Load)]
        if any(n.lineno > end for n in loads):
            return True
        around = [
            loop
            for loop in ast.walk(self.scope)
            if isinstance(loop, ast.For | ast.While)
            and loop.lineno <= self.statement.lineno <= (loop.end_lineno or 0)
        ]
        # The next iteration of a loop is later too, unless the loop binds the name first.
        for loop in around:
            mine = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == name]
            bound = [n.lineno for n in mine if isinstance(n.ctx, ast.Store)]
            inside = {n for each in loop.body for n in ast.walk(each)}
            read = (n.lineno for n in mine if isinstance(n.ctx, ast.Load) and n in inside)
            # `h = cell(x, h)` reads it before it binds it.
            if not bound or min(bound) >= min(read, default=min(bound) + 1):
                return True
        return False

    def _names(self, name: str) -> list[ast.Name]:
        return [n for n in ast.walk(self.scope) if isinstance(n, ast.Name) and n.id == name]

    def _is_parameter(self, name: str) -> bool:
        if isinstance(self.scope, ast.Module):
            return False
        given = self.scope.args
        return name in [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]

"""A statement of the user's, and what the function around it says of its variables."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.source.blocks import Block, Edit
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


class StatementInScope:
    """A statement of the user's, and the function or module that it stands in."""

    def __init__(self, source: str, at: Location, statement: ast.stmt, scope: Scope) -> None:
        self.source, self.at = source, at
        self.statement, self.scope = statement, scope
        self.block = Block(source, at.file, at.line, at.line)
        self.lines = self.block.lines

    @classmethod
    def of(cls, trace: Trace, at: Location) -> StatementInScope | None:
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
        """Whether nothing else stands on its lines: edits are of whole lines."""
        before = self.lines[statement.lineno - 1].encode()[: statement.col_offset]
        after = self.lines[(statement.end_lineno or 0) - 1].encode()[statement.end_col_offset :]
        return not before.strip() and after.strip()[:1] in (b"", b"#")

    def following(self) -> Iterator[ast.stmt]:
        """The statements behind this one in its own list."""
        for node in ast.walk(self.scope):
            for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
                if isinstance(body, list) and self.statement in body:
                    yield from body[body.index(self.statement) + 1 :]

    def text(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.source, node) or ""

    def help(self, text: str, *new: str) -> Help:
        """The statements `new` for this one; what stands behind it on its line stays."""
        statement = self.statement
        end = statement.end_lineno or statement.lineno
        indent = " " * statement.col_offset
        body = "\n".join(indent + each for each in new)
        rear = self.lines[end - 1].encode()[statement.end_col_offset :].decode()
        return self.block.help(text, [Edit(statement.lineno, end, body + rear)])

    def may_rebind(self, target: ast.expr) -> bool:
        """Whether `target = …` reaches all who are to see the new values: a loop's variable, what
        was taken out of an object, and what is not used again are seen elsewhere."""
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
        # The next round of a loop is later too, unless it begins by binding the name anew.
        return any(
            not any(isinstance(n.ctx, ast.Store) and n in ast.walk(loop) for n in self._names(name))
            for loop in around
        )

    def _names(self, name: str) -> list[ast.Name]:
        return [n for n in ast.walk(self.scope) if isinstance(n, ast.Name) and n.id == name]

    def _is_parameter(self, name: str) -> bool:
        if isinstance(self.scope, ast.Module):
            return False
        given = self.scope.args
        return name in [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]

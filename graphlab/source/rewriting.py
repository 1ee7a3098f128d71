"""Rewrites parts of a file by their nodes in its syntax tree, as a repair of whole lines."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Rewriting:
    """A file's text and tree. Every edit is (from, to, text) in characters of the text."""

    def __init__(self, file: str, source: str, tree: ast.Module) -> None:
        self.file, self.source, self.tree = file, source, tree
        self.lines = lines_with_ends(source)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))
        self.parents = {
            id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }

    @classmethod
    def of(cls, trace: Trace, at: Location | None) -> Rewriting | None:
        """The file that `at` is in; None where its text is not known or does not parse."""
        source = trace.sources.get(at.file, "") if at is not None else ""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return None
        return cls(at.file, source, tree) if at is not None and source else None

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where the node stands."""
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None) or 1
        start = self._column(first, getattr(node, "col_offset", 0))
        return start, self._column(last, getattr(node, "end_col_offset", None) or 0)

    def _column(self, line: int, offset: int) -> int:
        """Columns of nodes count bytes."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return self._starts[line - 1] + len(text.encode()[:offset].decode(errors="replace"))

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def is_at(self, node: ast.AST, at: Location) -> bool:
        """Whether the node stands just where an instruction is said to."""
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if not last or (first, last) != (at.line, at.end_line):
            return False
        return self.span(node)[1] - self._starts[last - 1] + 1 == at.end_column

    def followed(self, node: ast.expr, text: str) -> list[tuple[int, int, str]]:
        """The edits that put `text`, such as ``.clone()``, behind an expression, in brackets where
        it needs and has none."""
        start, end = self.span(node)
        parent = self.parents.get(id(node))
        before, after = self.source[:start].rstrip(), self.source[end:]
        gap = len(after) - len(after.lstrip())
        lone = isinstance(parent, ast.Call) and node is not parent.func and len(parent.args) == 1
        if before.endswith("(") and after[gap:].startswith(")") and not lone:
            return [(end + gap + 1, end + gap + 1, text)]
        if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
            return [(end, end, text)]
        return [(start, start, "("), (end, end, f"){text}")]

    def whole(self, node: ast.stmt, end: ast.stmt | None = None) -> tuple[int, int]:
        """The lines of a statement, decorators included, up to the end of `end`."""
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(each.lineno for each in decorators)])
        last = (end or node).end_lineno or node.lineno
        return self._starts[first - 1], self._starts[last]

    def help(self, text: str, *edits: tuple[int, int, str]) -> Help | None:
        """A repair made of these edits, of which none overlaps another; None where it changes
        nothing."""
        ordered = sorted(edits)
        if not ordered or any(a[1] > b[0] for a, b in pairwise(ordered)):
            return None
        first = self._line_of(ordered[0][0])
        last = max(self._line_of(max(end - 1, start)) for start, end, _ in ordered)
        begin, finish = self._starts[first], self._starts[min(last + 1, len(self.lines))]
        after, at = "", begin
        for start, end, new in ordered:
            after += self.source[at:start] + new
            at = end
        before, after = self.source[begin:finish], after + self.source[at:finish]
        return Help(text, before, after, self.file, first + 1) if before != after else None

    def _line_of(self, place: int) -> int:
        low = sum(start <= place for start in self._starts[1:])
        return min(low, max(len(self.lines) - 1, 0))

    def statement(self, line: int) -> ast.stmt | None:
        """The innermost statement that runs at a line."""
        here = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
        ]
        return min(here, key=lambda each: (each.end_lineno or 0) - each.lineno, default=None)

    def body(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements that it stands in; empty where another shares its line."""
        parent = self.parents.get(id(statement))
        for name in ("body", "orelse", "finalbody"):
            found = getattr(parent, name, None)
            if isinstance(found, list) and statement in found:
                mates = [each for each in found if each is not statement]
                lines = range(statement.lineno, (statement.end_lineno or 0) + 1)
                if any(each.lineno in lines or each.end_lineno in lines for each in mates):
                    return []
                return found
        return []

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What the node stands in, from the inside out."""
        parent = self.parents.get(id(node))
        while parent is not None:
            yield parent
            parent = self.parents.get(id(parent))

    def function(self, node: ast.AST) -> Function | None:
        """The function around a node."""
        return next(
            (each for each in self.around(node) if isinstance(each, Function)),
            None,
        )

    def spelled(self, node: ast.AST, name: str) -> str:
        """A dotted name as the code around the node can say it: ``self.opt`` for ``agent.opt`` in a
        method, where its class has ``self.opt`` and the method no ``agent`` of its own."""
        name, index, key = name.partition("[")
        return self._spelled(node, name) + index + key

    def _spelled(self, node: ast.AST, name: str) -> str:
        function, (root, *rest) = self.function(node), name.split(".")
        holder = self.parents.get(id(function)) if function is not None else None
        if function is None or not isinstance(holder, ast.ClassDef) or not function.args.args:
            return name
        if any(root in (getattr(n, "id", ""), getattr(n, "arg", "")) for n in ast.walk(function)):
            return name
        own = function.args.args[0].arg
        said = {ast.unparse(each) for each in ast.walk(holder) if isinstance(each, ast.Attribute)}
        for at in range(len(rest)):
            # ``self.loss.align``, where the class says ``self.loss``.
            known = any(
                ".".join([own, *rest[at:end]]) in said for end in range(at + 1, len(rest) + 1)
            )
            if known:
                return ".".join([own, *rest[at:]])
        # ``self.model`` for a ``model`` of the function that made the object.
        outside = [e for e in self.tree.body if not isinstance(e, Function | ast.ClassDef)]
        known = any(getattr(n, "id", "") == root for each in outside for n in ast.walk(each))
        return f"{own}.{name}" if f"{own}.{root}" in said and not known else name

    def torch(self) -> tuple[str, list[tuple[int, int, str]]] | None:
        """What the file calls torch, and the edits that import it where it does not; None where
        the name is taken."""
        imports = [each for each in self.tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
        for each in imports:
            for alias in each.names if isinstance(each, ast.Import) else ():
                if alias.name.partition(".")[0] == "torch" and (
                    alias.name == "torch" or not alias.asname
                ):
                    return alias.asname or "torch", []
        taken = any(
            "torch" in (getattr(e, "id", ""), getattr(e, "arg", "")) for e in ast.walk(self.tree)
        )
        later = [each for each in imports if getattr(each, "module", "") != "__future__"]
        if taken or not later or not self.body(later[-1]):
            return None
        place = self.whole(later[-1])[1]
        return "torch", [(place, place, "import torch\n")]

    def indented(self, first: ast.stmt, last: ast.stmt, by: int) -> str:
        """The lines of some statements of one body, indented by so many more columns."""
        start, end = self.whole(first, last)
        text = self.source[start:end]
        if by >= 0:
            return textwrap.indent(text, " " * by)
        return "".join(
            line[-by:] if not line[:-by].strip() else line for line in lines_with_ends(text)
        )

    def under(self, header: str, first: ast.stmt, last: ast.stmt) -> tuple[int, int, str]:
        """The edit that puts some statements of one body under ``header:``."""
        indent = " " * first.col_offset
        return *self.whole(first, last), f"{indent}{header}:\n{self.indented(first, last, 4)}"

    def moved(self, statement: ast.stmt, after: ast.stmt) -> list[tuple[int, int, str]]:
        """The edits that move a statement behind another one, to its indentation."""
        start, end = self.whole(statement)
        text = self.indented(statement, statement, after.col_offset - statement.col_offset)
        place = self.whole(after)[1]
        return [(start, end, ""), (place, place, text)]

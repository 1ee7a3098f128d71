"""Makes the popular repairs in a script that only silence, for an exercise to refuse them."""

from __future__ import annotations

import ast
import re


def popular(source: str) -> dict[str, str]:
    """The source with each of these made throughout, by what is done: every backward retains its
    graph, every optimizer is fused, the script's own writes go through ``.data``, every loss is
    told to require grad, every error of a backward is swallowed. What changes nothing is left out.

    Raises:
        SyntaxError: when the source does not parse.
    """
    edits = _Edits(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            edits.after(".data", node.target, ".data")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            _calls(edits, node, node.func)
        elif isinstance(node, ast.Expr) and _is_backward(node.value):
            indent = " " * node.col_offset
            edits.before("except", node, "try: ")
            edits.after("except", node, f"\n{indent}except RuntimeError: pass")
    return edits.made()


def _calls(edits: _Edits, node: ast.Call, func: ast.Attribute) -> None:
    if isinstance(func.value, ast.Name) and re.fullmatch(r"[a-z]+_", func.attr):
        edits.after(".data", func.value, ".data")
    if _is_backward(node):
        edits.argument("retain_graph=True", node)
        edits.after("requires_grad", func.value, ".detach().requires_grad_()")
    elif ast.unparse(func).startswith(("torch.optim.", "optim.")):
        edits.argument("fused=True", node)


def _is_backward(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "backward"
    )


class _Edits:
    """Insertions into a source, by the name of what they make."""

    def __init__(self, source: str) -> None:
        self._text = source.encode()
        self._starts = [0]
        for line in source.split("\n"):
            self._starts.append(self._starts[-1] + len(f"{line}\n".encode()))
        self._edits: dict[str, list[tuple[int, str]]] = {}

    def before(self, name: str, node: ast.stmt, text: str) -> None:
        self._insert(name, self._starts[node.lineno - 1] + node.col_offset, text)

    def after(self, name: str, node: ast.stmt | ast.expr, text: str) -> None:
        self._insert(name, self._end(node), text)

    def argument(self, text: str, node: ast.Call) -> None:
        """A last argument, unless the call has one of that name."""
        word = text.partition("=")[0]
        if all(each.arg != word for each in node.keywords):
            comma = ", " if node.args or node.keywords else ""
            self._insert(text, self._end(node) - 1, f"{comma}{text}")

    def made(self) -> dict[str, str]:
        found = {}
        for name, edits in self._edits.items():
            text = self._text
            for place, new in sorted(edits, reverse=True):
                text = text[:place] + new.encode() + text[place:]
            found[name] = text.decode()
        return found

    def _insert(self, name: str, place: int, text: str) -> None:
        self._edits.setdefault(name, []).append((place, text))

    def _end(self, node: ast.stmt | ast.expr) -> int:
        return self._starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)

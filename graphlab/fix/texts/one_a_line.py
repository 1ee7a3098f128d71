"""Gives each statement of a file a line, as repairs need it, and joins what they left alone."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping

from graphlab.text import lines_with_ends


def one_a_line(text: str) -> tuple[str, dict[str, str]]:
    """`text` with each of its statements on lines of its own, and what became of the lines that
    were shared: the lines as they were, by those that stand there now. Repairs move whole lines."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text, {}
    lines = [each.encode() for each in lines_with_ends(text)]
    breaks = dict[tuple[int, int], bytes]()
    for node in ast.walk(tree):
        for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if not isinstance(body, list):
                continue
            for each in body:
                line = lines[each.lineno - 1]
                # An `elif` is a statement of its own, and has its line.
                if line[: each.col_offset].strip() and not line[each.col_offset :].startswith(
                    b"elif"
                ):
                    indent = _indent(lines, node, body[0])
                    breaks[each.lineno - 1, each.col_offset] = indent
    for (at, column), indent in sorted(breaks.items(), reverse=True):
        before = lines[at][:column].rstrip().removesuffix(b";").rstrip()
        lines[at] = before + b"\n" + indent + lines[at][column:]
    new = b"".join(lines).decode()
    old_lines, new_lines = lines_with_ends(text), lines_with_ends(new)
    matched = difflib.SequenceMatcher(None, old_lines, new_lines, False)
    became = {
        "".join(new_lines[c:d]): "".join(old_lines[a:b])
        for tag, a, b, c, d in matched.get_opcodes()
        if tag != "equal"
    }
    return (new, became) if _same(text, new) else (text, {})


def _indent(lines: list[bytes], around: ast.AST, first: ast.stmt) -> bytes:
    """What the statements of a body begin with; a step more than its header where they share that
    one's line."""
    before = lines[first.lineno - 1][: first.col_offset]
    if not before.strip():
        return before
    if isinstance(around, ast.Module):
        return b""
    header = lines[getattr(around, "lineno", 1) - 1]
    own = header[: len(header) - len(header.lstrip())]
    return own + (b"\t" if own.startswith(b"\t") else b"    ")


def shared_again(text: str, became: Mapping[str, str]) -> str:
    """`text` with the lines that `one_a_line` parted and nothing has changed as they were."""
    joined = text
    for new, old in became.items():
        joined = joined.replace(new, old)
    return joined if _same(text, joined) else text


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same program."""
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False

"""The user's files as text: repairs applied to it, what that changed, and the file written anew."""

from __future__ import annotations

import ast
import difflib
import io
import os
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.output import files
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.repairs.model import LineEdit

# The text of each edited file, by its real path.
Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it is on disk: its bytes, and its text with ``\\n`` at the end of each line.

    raw: the text with the ends that its lines have, which need not all be the same."""

    path: str
    data: bytes
    text: str
    encoding: str
    raw: str

    def encoded(self, text: str) -> bytes:
        """`text` as it would stand in this file: in its encoding, with its ends of lines.

        Raises:
            UnicodeError: for a character that its encoding has not.
        """
        before, after = lines_with_ends(self.raw), lines_with_ends(text)
        old = [_plain(each) for each in before]
        parts: list[str] = []
        for tag, a, b, c, d in difflib.SequenceMatcher(None, old, after, False).get_opcodes():
            if tag == "equal":
                parts += before[a:b]
                continue
            # A new line ends as the one before it does.
            crlf = before[max(a - 1, 0) :][:1] and before[max(a - 1, 0)].endswith("\r\n")
            parts += [each.replace("\n", "\r\n") if crlf else each for each in after[c:d]]
        return "".join(parts).encode(self.encoding)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def read(path: str) -> Source | None:
    """The file at `path`; None where it is none, or cannot be written back as it was."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        raw = data.decode(encoding)
    except (OSError, SyntaxError, UnicodeError, ValueError):
        return None
    text = _plain(raw)
    # To Python a lone carriage return ends a line as well.
    if "\r" in text:
        return None
    source = Source(path, data, text, encoding, raw)
    return source if source.encoded(source.text) == data else None


def applied(help: Help, texts: Texts) -> dict[str, str] | None:
    """`texts` with this repair in them; None where what it replaces does not stand there, or where
    what comes of it is no Python."""
    if help.file is None or help.line is None or not (help.before or help.after):
        return None
    path = os.path.realpath(help.file)
    text = texts.get(path)
    if text is None:
        source = read(path)
        if source is None:
            return None
        text = source.text
    lines = lines_with_ends(text)
    head = "".join(lines[: help.line - 1])
    rest = text[len(head) :]
    # A file may lack the end of its last line, which the text that a repair was made for has.
    lacks = f"{rest}\n" == help.before and help.after.endswith("\n")
    if not rest.startswith(help.before) and not lacks:
        return None
    new = head + (help.after[:-1] if lacks else help.after + rest[len(help.before) :])
    try:
        ast.parse(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return {**texts, path: new} if new != text else None


def edits(texts: Texts, originals: Mapping[str, Source]) -> tuple[LineEdit, ...]:
    """What `texts` change, one for each run of changed lines; `line` is of the file as it is."""
    found = []
    for path, new in sorted(texts.items()):
        before = lines_with_ends(originals[path].text)
        after = lines_with_ends(new)
        for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
            if tag != "equal":
                found.append(LineEdit(path, a + 1, "".join(before[a:b]), "".join(after[c:d])))
    return tuple(found)


def patch(texts: Texts, originals: Mapping[str, Source], root: str) -> str:
    """A unified diff, as `patch -p1` and `git apply` take it, with paths from `root` on."""
    parts: list[str] = []
    for path, new in sorted(texts.items()):
        name = os.path.relpath(path, os.path.realpath(root))
        name = path.lstrip(os.sep) if name.startswith("..") else name
        before = lines_with_ends(originals[path].text)
        after = lines_with_ends(new)
        for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
            parts.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(parts)


def write(texts: Texts, originals: Mapping[str, Source]) -> None:
    """Write every file, if all of them are still what they were.

    Raises:
        UserError: for a file that has changed since it was read, or cannot be written.
    """
    ready: dict[str, bytes] = {}
    for path, new in texts.items():
        known = originals[path]
        now = read(path)
        if now is None or now.data != known.data:
            raise UserError(message("fix.refused.changed", path=path), message("fix.do.again"))
        try:
            ready[path] = known.encoded(new)
        except UnicodeError:
            raise UserError(
                message("fix.refused.encoding", path=path, encoding=known.encoding),
                message("fix.do.patch"),
            ) from None
    for path, data in ready.items():
        files.write(path, data)

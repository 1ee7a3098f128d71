"""Reads what a script's comments ask of whoever shows it: ``# graphlab: note …`` and its like."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["ask", "note", "hide"]

_REMARK = re.compile(r"#\s*graphlab:\s*(\w+)\b\s*(.*)")


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment for a viewer of the program.

    ask: a question before the line runs, of which the text is all; note: a sentence beside it;
    hide: the line is not shown, and there is no text. line: the line of code that it is about, from
    1: its own where code stands before it, else the next line with code. at: the comment's line.
    """

    kind: Kind
    text: str
    line: int
    at: int


def remarks(source: str) -> list[Remark]:
    """The remarks in a source, in the order of their lines; none in what is not Python.

    A comment that only looks like one, with another word, is none: it may be of a later version.
    Comments that follow on lines of their own, without ``graphlab:``, belong to no remark.
    """
    found: list[Remark] = []
    # Remarks on lines of their own, which wait for the next line with code.
    waiting: list[tuple[Kind, str, int]] = []
    has_code: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            line = token.start[0]
            if token.type == tokenize.COMMENT:
                match = _REMARK.fullmatch(token.string.rstrip())
                kind = next((each for each in get_args(Kind) if match and match[1] == each), None)
                if match is None or kind is None:
                    continue
                if line in has_code:
                    found.append(Remark(kind, match[2], line, line))
                else:
                    waiting.append((kind, match[2], line))
            elif token.type not in _BLANK:
                has_code.update(range(line, token.end[0] + 1))
                found += [Remark(kind, text, line, at) for kind, text, at in waiting]
                waiting = []
    except (tokenize.TokenError, SyntaxError, ValueError):
        return []
    return sorted(found, key=lambda each: (each.line, each.at))


_BLANK = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

"""An exercise: a script whose header says what is wrong with it and what must hold once mended.

Beside ``NAME.py`` may stand ``NAME.solution.py``, and the header in another language in
``NAME.ko.txt``.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from graphlab.catalogue import Expectation, read, read_source
from graphlab.errors import UserError
from graphlab.language import LANGUAGES, say
from graphlab.learn.claims import Claim, claim

SOLUTION = ".solution.py"
_FIELD = re.compile(r"(part|expect|assert|hint|lesson):\s*(.*)")


@dataclass(frozen=True)
class Exercise:
    """An exercise, its texts in one language. `hints` are those of the header; the solution, where
    there is one, makes the last."""

    name: str
    path: Path
    part: str
    title: str
    task: str
    expectation: Expectation | None
    claims: tuple[Claim, ...]
    hints: tuple[str, ...]
    lesson: str

    @cached_property
    def source(self) -> str:
        """The script without its header."""
        return without_docstring(_text(self.path))

    @cached_property
    def solution(self) -> str | None:
        """The mended script without a header, or None."""
        path = self.path.with_name(self.path.stem + SOLUTION)
        return without_docstring(_text(path)) if path.is_file() else None

    def handed_out(self) -> str:
        """The script as a student gets it: title and task, without hints and assertions."""
        text = f"{self.title}\n\n{self.task}".strip()
        quoted = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        return f'"""{quoted}\n"""\n\n{self.source}'

    def all_hints(self) -> list[str]:
        """The hints in the order in which they are given: the last is the diff to the solution."""
        if self.solution is None:
            return [*self.hints]
        return [*self.hints, f"{say('learn.hint.solution')}\n{self._diff(self.solution)}"]

    def _diff(self, solution: str) -> str:
        before, after = self.source.splitlines(), solution.splitlines()
        lines = [*difflib.unified_diff(before, after, n=1, lineterm="")][2:]
        return "\n".join("⋮" if each.startswith("@@") else each for each in lines)


def is_exercise(path: Path) -> bool:
    """Whether a script's header asserts something or has a solution beside it."""
    fields = _fields(read(path).lesson, path)
    return any(name == "assert" for name, _ in fields) or (
        path.with_name(path.stem + SOLUTION).is_file()
    )


def load(path: Path, language: str) -> Exercise:
    """The exercise in a script, with the texts of `language` where they were written.

    Raises:
        UserError: for a file that cannot be read, and for a line of its header that cannot.
    """
    header = read(path)
    found = Exercise(
        named(path), path, "", header.title, "", header.expected(None), (), (), "",
    )  # fmt: skip
    fields = _fields(header.lesson, path)
    claims = tuple(claim(text, path) for name, text in fields if name == "assert")
    found = _told(replace(found, claims=claims), fields)
    sidecar = path.with_name(f"{path.stem}.{language}.txt")
    if language in LANGUAGES and sidecar.is_file():
        title, _, rest = _text(sidecar).strip().partition("\n")
        found = _told(replace(found, title=title.strip()), _fields(rest, sidecar))
    return found


def named(path: Path) -> str:
    """An exercise's name: its file's, without the number that orders it."""
    return re.sub(r"^\d+_", "", path.stem)


def without_docstring(source: str) -> str:
    """The source from the first statement after the docstring on.

    Raises:
        SyntaxError: when it does not parse.
    """
    tree = ast.parse(source)
    if ast.get_docstring(tree) is None:
        return source
    end = tree.body[0].end_lineno or 0
    return "\n".join(source.split("\n")[end:]).lstrip("\n")


def _told(exercise: Exercise, fields: list[tuple[str, str]]) -> Exercise:
    """The exercise with the texts among `fields` in place of those that it has."""
    texts: dict[str, list[str]] = {}
    for name, text in fields:
        texts.setdefault(name, []).append(text)
    return replace(
        exercise,
        task="\n".join(texts.get("", [exercise.task])).strip(),
        part=" ".join(texts.get("part", [exercise.part])),
        hints=tuple(texts.get("hint", exercise.hints)),
        lesson=" ".join(texts.get("lesson", [exercise.lesson])),
    )


def _fields(text: str, path: Path) -> list[tuple[str, str]]:
    """(name, text) for each field; "" is the name of a line that is in none. An indented line
    continues the field before it.

    Raises:
        UserError: for a line that begins like a field and is none.
    """
    found: list[tuple[str, str]] = []
    for line in _unwrapped(text.splitlines()):
        match = _FIELD.match(line)
        if match:
            found.append((match[1], match[2].strip()))
        elif re.match(r"(asserts?|hints?|lessons?|parts?)\b[^:]{0,3}:", line, re.IGNORECASE):
            raise UserError(
                f"{path} has a line in its header that cannot be read: {line}",
                "the fields are part:, expect:, assert:, hint: and lesson:, one a line",
            )
        else:
            found.append(("", line))
    return found


def _unwrapped(lines: Iterable[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        inside = bool(found) and _FIELD.match(found[-1]) is not None
        if inside and line[:1].isspace() and line.strip():
            found[-1] += f" {line.strip()}"
        else:
            found.append(line)
    return found


def _text(path: Path) -> str:
    try:
        return read_source(str(path)).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not written in UTF-8", "save it as UTF-8") from None

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
from graphlab.language import LANGUAGES, message, say
from graphlab.learn.claims import Claim, claim

SOLUTION = ".solution.py"
_FIELDS = ("part", "expect", "assert", "hint", "lesson")
_FIELD = re.compile(rf"({'|'.join(_FIELDS)}):\s*(.*)")
# How near to a field a word must be to be that field misspelt: "leson" is, "path" is no part.
_NEAR = 0.82


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
    if language in translations(path):
        title, fields = _translation(path, language)
        found = _told(replace(found, title=title), fields)
    return found


def translations(path: Path) -> list[str]:
    """The languages in which a script's header stands beside it."""
    return [each for each in LANGUAGES if _translated(path, each).is_file()]


def _translation(path: Path, language: str) -> tuple[str, list[tuple[str, str]]]:
    """A script's header in another language: title and fields. Raises as `load` does."""
    sidecar = _translated(path, language)
    title, _, rest = _text(sidecar).strip().partition("\n")
    return title.strip(), _fields(rest, sidecar)


def fault(path: Path, language: str) -> str | None:
    """What is wrong with the header in another language, measured by the script's own, or None."""
    script = _fields(read(path).lesson, path)
    try:
        _, fields = _translation(path, language)
    except UserError as error:
        return f"{error}; {error.help}"
    for name, text in fields:
        if name in ("expect", "assert"):
            return say("learn.prove.not_here", field=name)
        # A line of the task may begin so too, but then one of the script does.
        begins = _begins(name, text)
        if begins and begins not in {_begins(*each) for each in script}:
            return say("learn.prove.no_field", field=begins)
    given, all_hints = (sum(name == "hint" for name, _ in each) for each in (fields, script))
    if given not in (0, all_hints):
        return say("learn.prove.hints", given=given, all=all_hints)
    return None


def _begins(name: str, text: str) -> str:
    """The word before a colon at the start of a line that is in no field, or ""."""
    match = re.match(r"([a-z]+):(?:\s|$)", text) if not name else None
    return match[1] if match is not None else ""


def _translated(path: Path, language: str) -> Path:
    return path.with_name(f"{path.stem}.{language}.txt")


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
            continue
        word = re.match(r"([A-Za-z]+)\s*:", line)
        near = difflib.get_close_matches(word[1].lower(), _FIELDS, 1, _NEAR) if word else []
        if near:
            raise UserError(
                message("usage.bad_header", path=str(path), line=line),
                message("usage.help.fields", near=near[0], names=[*_FIELDS]),
            )
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
        raise UserError(
            message("usage.not_utf8", path=str(path)), message("usage.help.save_utf8")
        ) from None

"""A course: a folder of exercises, graphlab's own or a teacher's, in the order of its files."""

from __future__ import annotations

import re
from pathlib import Path

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.language.lists import suggestion
from graphlab.learn.exercise import SOLUTION, Exercise, is_exercise, load, named

_PACKAGE = Path(__file__).resolve().parents[1]


def own() -> Path:
    """graphlab's own course: next to the package in a checkout, inside it when installed."""
    inside = _PACKAGE / "exercises"
    return inside if inside.is_dir() else _PACKAGE.parent / "exercises"


def exercises(folder: Path, language: str) -> list[Exercise]:
    """The exercises of a course.

    Raises:
        UserError: for a folder without any, and for two of one name.
    """
    if not folder.is_dir():
        raise UserError(
            message("usage.no_folder", path=str(folder)), message("usage.help.exercise_folder")
        )
    found = [load(path, language) for path in _scripts(folder) if is_exercise(path)]
    if not found:
        raise UserError(
            message("usage.no_exercises", path=str(folder)), message("usage.help.teaching")
        )
    names = [each.name for each in found]
    for each in found:
        if names.count(each.name) > 1:
            raise UserError(
                message("usage.two_exercises", name=each.name), message("usage.help.rename")
            )
    return found


def _scripts(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*.py"), key=_order)
        if not path.name.endswith(SOLUTION)
        and not any(part[0] in "_." for part in path.relative_to(folder).parts)
    ]


def _order(path: Path) -> list[tuple[str, int]]:
    """As people count: 2 comes before 10."""
    parts = re.findall(r"(\D*)(\d*)", str(path))
    return [(text, int(number or 0)) for text, number in parts]


def called(name: str, known: list[Exercise]) -> Exercise:
    """The exercise of that name, or whose file has that name.

    Raises:
        UserError: when there is none, with the nearest.
    """
    wanted = _plain(name)
    for each in known:
        if _plain(each.name) == wanted:
            return each
    all_of_them = message("usage.help.learn_list")
    near = suggestion(named(Path(name)), [each.name for each in known], all_of_them)
    raise UserError(message("usage.no_exercise", name=name), near)


def _plain(name: str) -> str:
    """A name less what may be written otherwise: `1-carried` is `carried`, as `1_carried.py` is."""
    return named(Path(name.replace("-", "_")))

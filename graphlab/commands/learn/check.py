"""graphlab learn check: files against their exercises, for students and autograders."""

from __future__ import annotations

import json
from pathlib import Path

from graphlab.commands.learn import screen
from graphlab.errors import UserError
from graphlab.language import current, message
from graphlab.learn.course import called, exercises, own
from graphlab.learn.exercise import SOLUTION, Exercise, is_exercise, load
from graphlab.learn.folder import Folder, around
from graphlab.learn.runner import running
from graphlab.learn.verdict import as_json, judge
from graphlab.output import streams
from graphlab.views.console import emit, stdout


def check(names: list[str], against: str | None, as_document: bool, seconds: float) -> int:
    """Returns 0 when every file passes, 1 otherwise. `against` is the exercise's own script, where
    the file is a copy of it. With `as_document` a line of JSON is printed for each file.

    Raises:
        UserError: for a file that is missing, or that belongs to no exercise.
    """
    if not names:
        raise UserError(message("usage.no_file_named"), message("usage.help.name_file"))
    paths = [Path(name) for name in names]
    asked = [_exercise(path, against) for path in paths]
    console = stdout()
    passed = True
    with running(seconds) as runner:
        for path, (exercise, folder) in zip(paths, asked, strict=True):
            found = judge(exercise, path, runner.run(exercise, path))
            passed = passed and found.passed
            if folder is not None:
                folder.note(exercise, found.passed)
            if as_document:
                streams.out().write(f"{json.dumps(as_json(found), ensure_ascii=False)}\n")
            else:
                emit(console, screen.shown(path), "", screen.verdict(found), "")
    streams.out().flush()
    return 0 if passed else 1


def _exercise(path: Path, against: str | None) -> tuple[Exercise, Folder | None]:
    """The exercise that a file is an attempt at: the one that is named; that of the student's
    folder around it, which is given too, as its progress is kept there; itself, if it has a header
    that asserts something; graphlab's of its name."""
    if not path.is_file():
        raise UserError(message("usage.no_file", path=str(path)), message("usage.help.path"))
    if against is not None:
        return load(Path(against), current()), None
    folder = around(path)
    if folder is not None:
        known = exercises(folder.course, current())
        for each in known:
            if folder.place(each).resolve() == path.resolve():
                return each, folder
    if _is_exercise(path):
        return load(path, current()), None
    script = path.with_name(f"{path.name.removesuffix(SOLUTION)}.py")
    if path.name.endswith(SOLUTION) and script.is_file():
        raise UserError(
            message("usage.solution", path=str(path)),
            message("usage.help.its_exercise", path=str(path), script=str(script)),
        )
    try:
        return called(path.name, exercises(own(), current())), None
    except UserError as error:
        said = message("usage.help.or_exercise", near=error.help)
        raise UserError(
            message("usage.no_exercise_file", path=str(path), why=error.message), said
        ) from None


def _is_exercise(path: Path) -> bool:
    try:
        return is_exercise(path)
    except UserError:
        # A student's file need not be Python: that is part of the verdict.
        return False

"""graphlab learn hint, list and reset: what is about the student's folder."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from graphlab.commands.learn import screen
from graphlab.commands.learn.start import show_hint
from graphlab.errors import UserError
from graphlab.language import current, message, say
from graphlab.learn.course import called, exercises
from graphlab.learn.exercise import Exercise
from graphlab.learn.folder import Folder, around
from graphlab.learn.runner import running
from graphlab.learn.verdict import judge
from graphlab.views.console import emit, stdout


def hint(name: str | None) -> int:
    """Give the next hint of the exercise, by default of the first that is not passed."""
    folder, known = _here()
    exercise = called(name, known) if name is not None else folder.current(known)
    if exercise is None:
        exercise = _broken_again(folder, known)
    if exercise is None:
        emit(stdout(), Text(say("learn.all_done")))
        return 0
    show_hint(folder, exercise, stdout())
    return 0


def _broken_again(folder: Folder, known: list[Exercise]) -> Exercise | None:
    """Where all were passed, the first whose file was saved since and does not pass any more."""
    saved = folder.saved_since(known)
    if saved:
        with running() as runner:
            for each in saved:
                place = folder.place(each)
                folder.note(each, judge(each, place, runner.run(each, place)).passed)
    return folder.current(known)


def list_all() -> int:
    """Show the exercises and which are passed."""
    emit(stdout(), screen.listing(*_here()))
    return 0


def reset(name: str, force: bool) -> int:
    """Give an exercise out anew.

    Raises:
        UserError: when the file was changed, unless `force`.
    """
    folder, known = _here()
    exercise = called(name, known)
    place = screen.shown(folder.place(exercise))
    if folder.changed(exercise) and not force:
        raise UserError(
            message("usage.your_changes", path=str(place)), message("usage.help.lose_them")
        )
    folder.reset(exercise)
    emit(stdout(), Text(say("learn.was_reset", path=place)))
    return 0


def _here() -> tuple[Folder, list[Exercise]]:
    folder = around(Path.cwd() / "here")
    if folder is None:
        raise UserError(message("usage.no_exercises_here"), message("usage.help.lay_out"))
    return folder, exercises(folder.course, current())

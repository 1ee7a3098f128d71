"""graphlab learn: lays the exercises out, and answers each time one of them is saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from graphlab.commands.learn import screen
from graphlab.language import current, say
from graphlab.learn.course import exercises
from graphlab.learn.exercise import Exercise
from graphlab.learn.folder import Folder
from graphlab.learn.runner import Runner, running
from graphlab.learn.saves import events
from graphlab.learn.verdict import judge
from graphlab.views.console import emit, stdout


def start(directory: str, course: str | None, watches: bool = True) -> int:
    """Lay out what is missing in the folder, check the current exercise, and watch, in a terminal.

    Returns 0 once the student quits; where nothing is watched, 0 if the exercise is passed, else 1.

    Raises:
        UserError: for a folder or a course that cannot be used.
    """
    folder = Folder(Path(directory), os.path.abspath(course) if course is not None else None)
    known = exercises(folder.course, current())
    made = folder.lay_out(known)
    console = stdout()
    if made:
        where = screen.shown(folder.path.resolve())
        emit(console, Text(say("learn.laid_out", count=len(made), folder=where)), "")
    with running() as runner:
        lesson = Lesson(folder, known, runner, console)
        if watches and sys.stdin is not None and sys.stdin.isatty() and console.is_terminal:
            emit(console, Text(say("learn.loading"), "dim"), "")
            lesson.watch()
            return 0
        passed = lesson.answer()
        emit(console, "", Text(say("learn.not_watching"), "dim"))
        return 0 if passed else 1


class Lesson:
    """One sitting: the exercise that is at hand, and the answers to what is saved and typed."""

    def __init__(
        self, folder: Folder, known: list[Exercise], runner: Runner, console: Console
    ) -> None:
        self._folder, self._known = folder, known
        self._runner, self._console = runner, console
        self._answered = False
        self._at: Exercise = folder.current(known) or known[0]

    def watch(self) -> None:
        """Answer until the student quits."""
        keys: dict[str, Callable[[], object]] = {
            "h": self._hint, "n": self._next, "": self._next, "l": self._list, "r": self.answer,
        }  # fmt: skip
        places = {self._folder.place(each).resolve(): each for each in self._known}
        # From now on, so that what is saved while the first answer is worked out counts.
        happened = events(self._folder.path)
        self.answer()
        self._menu()
        for what in happened:
            if isinstance(what, Path):
                saved = places.get(what.resolve())
                if saved is None:
                    continue
                self._at = saved
                self.answer()
            elif what[:1].lower() == "q":
                return
            else:
                answer = keys.get(what[:1].lower())
                if answer is not None:
                    answer()
                else:
                    emit(self._console, Text(say("learn.no_key", typed=what.strip())))
            self._menu()

    def answer(self) -> bool:
        """Check the exercise at hand and show the verdict: whether it passes."""
        each, console = self._at, self._console
        place = self._folder.place(each)
        if console.is_terminal and self._answered:
            console.clear()
        self._answered = True
        number = self._known.index(each) + 1
        where = say("learn.where", number=number, all=len(self._known))
        where = f"{each.part}, {where}" if each.part else where
        emit(console, Text.assemble((screen.shown(place), "bold"), ("  ", ""), (where, "dim")), "")
        found = judge(each, place, self._runner.run(each, place))
        self._folder.note(each, found.passed)
        emit(console, screen.verdict(found), "", screen.progress(self._folder, self._known))
        following = self._folder.current(self._known)
        if following is None:
            emit(console, "", Text(say("learn.all_done"), "bold green"))
        elif found.passed:
            there = screen.shown(self._folder.place(following))
            emit(console, Text(say("learn.following", path=there)))
        return found.passed

    def _next(self) -> None:
        self._at = self._folder.current(self._known) or self._at
        self.answer()

    def _hint(self) -> None:
        show_hint(self._folder, self._at, self._console)

    def _list(self) -> None:
        emit(self._console, screen.listing(self._folder, self._known))

    def _menu(self) -> None:
        emit(self._console, Text(say("learn.menu"), "dim"))


def show_hint(folder: Folder, exercise: Exercise, console: Console) -> None:
    """Give the next hint of an exercise."""
    given = folder.next_hint(exercise)
    if given is None:
        emit(console, Text(say("learn.hint.none")))
    else:
        emit(console, screen.hint(given[0], len(exercise.all_hints()), given[1]))

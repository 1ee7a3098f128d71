"""A student's folder: the copies of the exercises to work on, and the file of the progress."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.learn.course import own
from graphlab.learn.exercise import Exercise
from graphlab.output import files

PROGRESS = "graphlab-learn.json"
SCHEMA = "graphlab.progress/1"


@dataclass
class Progress:
    """What a student has passed, how many hints were given of each exercise, and the course's
    folder if it is a teacher's."""

    course: str | None = None
    passed: list[str] = field(default_factory=list)
    hints: dict[str, int] = field(default_factory=dict)


class Folder:
    """A folder with exercises. Every change of the progress is written at once.

    Raises:
        UserError: for a folder that is not empty and has no progress file, or whose progress file
            cannot be read.
    """

    def __init__(self, path: Path, course: str | None = None) -> None:
        self.path = path
        self._file = path / PROGRESS
        if self._file.exists():
            self.progress = _read(self._file)
            if course is not None:
                self.progress.course = course
        else:
            _refuse_foreign(path)
            self.progress = Progress(course)

    @property
    def course(self) -> Path:
        return Path(self.progress.course) if self.progress.course is not None else own()

    def place(self, exercise: Exercise) -> Path:
        """Where the student's copy of it is."""
        return self.path / exercise.path.relative_to(self.course)

    def lay_out(self, exercises: list[Exercise]) -> list[Path]:
        """Write the copies that are missing; returns them. None is overwritten."""
        made = []
        for each in exercises:
            place = self.place(each)
            if not place.exists():
                self._write(place, each.handed_out())
                made.append(place)
        self.save()
        return made

    def reset(self, exercise: Exercise) -> None:
        """Replace the student's copy by the exercise as it was handed out."""
        self._write(self.place(exercise), exercise.handed_out())
        self.note(exercise, False)

    def changed(self, exercise: Exercise) -> bool:
        """Whether the student's copy differs from what was handed out."""
        place = self.place(exercise)
        if not place.exists():
            return False
        return place.read_text(encoding="utf-8", errors="replace") != exercise.handed_out()

    def note(self, exercise: Exercise, passed: bool) -> None:
        """Keep what became of the last attempt."""
        others = [name for name in self.progress.passed if name != exercise.name]
        self.progress.passed = [*others, exercise.name] if passed else others
        self.save()

    def next_hint(self, exercise: Exercise) -> tuple[int, str] | None:
        """(its number from 1, the hint); the last again once all were given, None without any."""
        hints = exercise.all_hints()
        if not hints:
            return None
        number = min(self.progress.hints.get(exercise.name, 0) + 1, len(hints))
        self.progress.hints[exercise.name] = number
        self.save()
        return number, hints[number - 1]

    def passed(self, exercise: Exercise) -> bool:
        return exercise.name in self.progress.passed

    def current(self, exercises: list[Exercise]) -> Exercise | None:
        """The first that is not passed."""
        return next((each for each in exercises if not self.passed(each)), None)

    def saved_since(self, exercises: list[Exercise]) -> list[Exercise]:
        """Those whose copies were saved after the progress was, so after the last verdict."""
        if not self._file.exists():
            return []
        last = self._file.stat().st_mtime_ns
        places = [(each, self.place(each)) for each in exercises]
        return [e for e, place in places if place.exists() and place.stat().st_mtime_ns > last]

    def save(self) -> None:
        text = json.dumps({"schema": SCHEMA, **asdict(self.progress)}, indent=2) + "\n"
        files.write(str(self._file), text)

    def _write(self, place: Path, text: str) -> None:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                message("usage.cannot_make", path=str(place.parent), why=str(error.strerror)),
                message("usage.help.choose_folder"),
            ) from None
        files.write(str(place), text)


def around(path: Path) -> Folder | None:
    """The student's folder that `path` is in, or None."""
    for each in path.resolve().parents:
        if (each / PROGRESS).is_file():
            return Folder(each)
    return None


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(
            message("usage.not_a_folder", path=str(path)), message("usage.help.empty_folder")
        )
    # A virtual environment or a repository in it is no reason to refuse.
    if any(each.name[0] != "." for each in path.iterdir()):
        raise UserError(
            message("usage.not_empty", path=str(path)), message("usage.help.new_folder")
        )


def _read(file: Path) -> Progress:
    broken = UserError(
        message("usage.progress_lost", path=str(file)), message("usage.help.begin_again")
    )
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise broken from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise broken
    course, passed, hints = data.get("course"), data.get("passed"), data.get("hints")
    if not isinstance(passed, list) or not isinstance(hints, dict):
        raise broken
    names = all(isinstance(each, str) for each in [*passed, *hints])
    numbers = all(type(each) is int for each in hints.values())
    if not names or not numbers or not isinstance(course, str | None):
        raise broken
    return Progress(course, passed, hints)

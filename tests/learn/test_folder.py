"""A student's folder: what is laid out, what is never overwritten, and how progress is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphlab.errors import UserError
from graphlab.learn.course import exercises, own
from graphlab.learn.folder import PROGRESS, Folder, around

KNOWN = exercises(own(), "en")


def test_an_empty_folder_is_filled_and_a_second_time_only_what_is_missing(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new")
    made = folder.lay_out(KNOWN)
    assert len(made) == len(KNOWN) == 16
    made[0].write_text("mine\n", encoding="utf-8")
    made[1].unlink()
    assert Folder(tmp_path / "new").lay_out(KNOWN) == [made[1]]
    assert made[0].read_text(encoding="utf-8") == "mine\n"
    assert folder.changed(KNOWN[0])
    folder.reset(KNOWN[0])
    assert not folder.changed(KNOWN[0])


def test_progress_outlives_the_process_and_follows_the_last_attempt(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.lay_out(KNOWN)
    assert folder.current(KNOWN) is KNOWN[0]
    folder.note(KNOWN[0], True)
    again = around(folder.place(KNOWN[3]))
    assert again is not None
    assert again.passed(KNOWN[0])
    assert again.current(KNOWN) is KNOWN[1]
    again.note(KNOWN[0], False)
    assert Folder(tmp_path).current(KNOWN) is KNOWN[0]


def test_hints_are_given_one_at_a_time(tmp_path: Path) -> None:
    first, second, third = enumerate(KNOWN[0].all_hints(), 1)
    given = [Folder(tmp_path).next_hint(KNOWN[0]) for _ in range(4)]
    assert given == [first, second, third, third]


def test_a_folder_of_other_things_is_refused_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    Folder(tmp_path)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        Folder(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"schema": "graphlab.progress/2", "passed": [], "hints": {}}',
        '{"schema": "graphlab.progress/1", "passed": [1], "hints": {}}',
        '{"schema": "graphlab.progress/1", "passed": [], "hints": {"a": "b"}}',
        '{"schema": "graphlab.progress/1", "passed": [], "hints": {}, "course": 3}',
    ],
)  # fmt: skip
def test_a_broken_progress_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / PROGRESS).write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        Folder(tmp_path)
    assert (tmp_path / PROGRESS).read_text() == text


def test_a_teachers_course_is_remembered(tmp_path: Path) -> None:
    course = tmp_path / "course"
    course.mkdir()
    (course / "one.py").write_text('"""One.\n\nassert: o makes 1 steps\n"""\n\nx = 1\n')
    folder = Folder(tmp_path / "mine", str(course))
    folder.lay_out(exercises(course, "en"))
    assert json.loads((tmp_path / "mine" / PROGRESS).read_text())["course"] == str(course)
    assert Folder(tmp_path / "mine").course == course
    assert (tmp_path / "mine" / "one.py").read_text() == '"""One.\n"""\n\nx = 1\n'

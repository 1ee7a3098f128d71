"""Output files: where they lead to, and what is left when something goes wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from graphlab.errors import UserError
from graphlab.output import files


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("target")
    with pytest.raises(UserError, match="already exists"):
        files.check(str(link), force=False)
    files.write(str(link), "new", force=True)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_dangling_link_leads_to_the_new_file(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("target")
    assert files.check(str(link), force=False) == str(link)
    files.write(str(link), "new", force=False)
    assert link.is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for refused in (lambda: files.check(str(pipe), True), lambda: files.write(str(pipe), "new")):
        with pytest.raises(UserError, match="not a regular file"):
            refused()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    name = "x" * os.pathconf(tmp_path, "PC_NAME_MAX")
    assert files.check(str(tmp_path / name), False)
    files.write(str(tmp_path / name), "new", force=False)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with pytest.raises(UserError, match="File name too long"):
        files.check(str(tmp_path / f"{name}x"), False)


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    target.chmod(0o600)
    files.write(str(target), "new", force=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="No space left on device"):
        files.write(str(tmp_path / "report.json"), "new", force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_kept_when_the_program_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.check("report.json", False) == str(tmp_path / "report.json")
    assert files.check("-", False) == "-"
    assert files.check(None, False) is None


def test_two_names_of_one_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(UserError, match="--a and --b both write to"):
        files.distinct({"--a": str(tmp_path / "target"), "--b": str(tmp_path / "link")})
    files.distinct({"--a": None, "--b": None, "--c": "-"})


def test_a_write_that_fails_leaves_the_old_file_and_no_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.json"
    target.write_text("mine")

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(files.UserError, match="No space left on device"):
        files.write(str(target), "new", force=True)
    assert target.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    kept = os.umask(0o027)
    try:
        files.write(str(tmp_path / "report.json"), "new", force=False)
    finally:
        os.umask(kept)
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o640

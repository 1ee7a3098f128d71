"""What a program finds in `sys`, and what we find there before and after it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from graphlab.observe.program_state import SysSwap, taken_names
from graphlab.source.files import UserFiles

NAMES = ("html", "json", "shlex", "rich", "typing", "token")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that are called as modules of the standard library and of ours."""
    importlib.import_module("torch")
    for name in NAMES:
        importlib.import_module(name)
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    (tmp_path / "random").mkdir()
    (tmp_path / "random" / "__init__.py").write_text("MINE = True\n")
    # Python finds these without looking into the folder, or has them before any program.
    for name in ("sys", "os", "runpy", "builtins"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    # No module is made of these.
    (tmp_path / "io").mkdir()
    (tmp_path / "ast.txt").write_text("")
    # One for both.
    for name in ("torch", "graphlab", "__main__"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    return tmp_path


@pytest.fixture
def world(folder: Path) -> Callable[[], SysSwap]:
    def make() -> SysSwap:
        main = ModuleType("__main__")
        return SysSwap(["script.py"], str(folder), main, UserFiles((str(folder / "script.py"),)))

    return make


def test_the_names_that_a_folder_takes(folder: Path) -> None:
    assert taken_names(str(folder)) == {*NAMES, "random"}
    assert taken_names(str(folder / "nowhere")) == frozenset()
    # setuptools may have put a distutils of its own in the place of Python's.
    assert taken_names(os.path.dirname(os.__file__)) <= {"distutils"}


def test_each_side_finds_its_own_modules(world: Callable[[], SysSwap], folder: Path) -> None:
    ours = {name: sys.modules[name] for name in (*NAMES, "random", "torch")}
    before, argv, path, main = dict(sys.modules), sys.argv, sys.path, sys.modules["__main__"]
    sides = world()
    sides.enter()
    try:
        assert sys.argv == ["script.py"]
        assert sys.path == [str(folder), *path[1:]]
        assert sys.modules["__main__"] is not main
        for name in ("html", "rich", "random"):
            assert importlib.import_module(name).MINE
        assert "rich.text" not in sys.modules
        assert importlib.import_module("torch") is ours["torch"]
        theirs = sys.modules["html"]
        sys.path.append("theirs")
    finally:
        sides.leave()
    assert (sys.argv, sys.path, sys.modules["__main__"]) == (argv, path, main)
    assert "theirs" not in sys.path
    assert {name: sys.modules[name] for name in ours} == ours
    assert before.items() <= sys.modules.items()
    # What is left to be done at exit finds the program's side again.
    sides.resume()
    try:
        assert sys.modules["html"] is theirs
        assert sys.path[-1] == "theirs"
    finally:
        sides.leave()
    assert sys.modules["html"] is ours["html"]


def test_what_is_imported_from_the_programs_files_goes_with_it(
    world: Callable[[], SysSwap], folder: Path
) -> None:
    (folder / "a_sibling_of_the_script.py").write_text("")
    sides = world()
    sides.enter()
    try:
        importlib.import_module("a_sibling_of_the_script")
    finally:
        sides.leave()
    assert "a_sibling_of_the_script" not in sys.modules


def test_streams_and_folder_are_each_sides_own(
    world: Callable[[], SysSwap], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, stdout = os.getcwd(), sys.stdout
    sides = world()
    sides.enter()
    try:
        os.chdir(folder)
        del sys.stdout
        sys.stderr = None
    finally:
        sides.leave()
    assert os.getcwd() == here
    assert sys.stdout is stdout
    assert sys.stderr is not None

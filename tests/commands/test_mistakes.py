"""Mistakes at the command line: what is wrong, and what was probably meant."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab import language

HANGUL = re.compile("[가-힣]")
Main = Callable[..., tuple[int, str, str]]


def assert_refused(result: tuple[int, str, str], *said: str) -> None:
    """Exit code 2, nothing on stdout, one line on what is wrong and one on what to do."""
    code, out, err = result
    assert (code, out) == (2, ""), err
    error, help = err.splitlines()
    assert error.startswith("error: ")
    assert help.startswith("help: ")
    assert len(error) > len("error: ") and len(help) > len("help: ")
    assert "Traceback" not in err
    for words in said:
        assert words in err


def test_a_misspelt_scenario(main: Main) -> None:
    assert_refused(main("run", "naiv"), "'naiv'", "did you mean naive?")
    assert_refused(main("check", "naiv"), "'naiv'", "did you mean naive?")
    assert_refused(main("run", "xyzzy"), "'xyzzy'", "graphlab list")


KOREAN = [
    ("run", "naiv"),
    ("run", "nowhere.py"),
    ("run",),
    ("run", "naive", "--json", "no/such/folder.json"),
    ("run", "naive", "--quiz"),
    ("run", "--from", "nowhere.json"),
    ("explain", "GL991"),
    ("learn", "check", "nowhere.py"),
    ("learn", "hint"),
    ("list", "--nix"),
]


@pytest.mark.parametrize("words", KOREAN, ids=" ".join)
def test_a_mistake_is_told_in_korean(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHLAB_LANG", "ko")
    language.choose(None)
    try:
        code, out, err = main(*words)
    finally:
        language.choose("en")
    assert (code, out) == (2, ""), err
    error, help = err.splitlines()
    assert error.startswith("error: ") and HANGUL.search(error)
    assert help.startswith("해결: ") and HANGUL.search(help.removeprefix("해결: "))


def test_a_misspelt_code(main: Main) -> None:
    assert_refused(main("explain", "GL991"), "'GL991'", "did you mean GL")
    assert_refused(main("explain", "stale-saved-tenser"), "did you mean stale-saved-tensor?")
    assert_refused(main("explain", "xyzzy"), "'xyzzy'")


def test_a_code_in_any_case_and_a_name_are_understood(main: Main) -> None:
    pages = {main("explain", words)[1] for words in ("GL001", "gl1", "stale-saved-tensor")}
    assert len(pages) == 1
    assert "stale-saved-tensor" in pages.pop()


def test_a_missing_file(main: Main) -> None:
    assert_refused(main("run", "nowhere.py"), "there is no file nowhere.py")
    assert_refused(main("run", "naiv.py"), "there is no file naiv.py", "naive")
    assert_refused(main("run", "folder/nowhere"), "there is no file folder/nowhere")
    assert_refused(main("check", "nowhere.py"), "nowhere.py")


def test_a_folder(main: Main, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    assert_refused(main("run", "folder.py"), "folder.py")
    assert_refused(main("run", "."), "help:")


def test_a_file_that_is_not_python(main: Main, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import torch\nfor x in\n    pass\n")
    assert_refused(main("run", "script.py"), "line 2 of script.py is not valid Python")
    assert_refused(main("check", "script.py"), "line 2 of script.py is not valid Python")
    (tmp_path / "binary.py").write_bytes(b"\x7fELF\0\xff\xfe")
    assert_refused(main("run", "binary.py"), "binary.py is not valid Python")


def test_a_file_that_cannot_be_read(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "script.py").write_text("x = 1\n")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert_refused(main("run", "script.py"), "cannot read script.py: Permission denied")


def test_a_module_that_cannot_be_run(main: Main, tmp_path: Path) -> None:
    package = tmp_path / "package_without_main"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (tmp_path / "module_with_slip.py").write_text("x = (\n")
    before = sys.path[:]
    assert_refused(main("run", "-m", "no_such_module_anywhere"), "no_such_module_anywhere")
    assert_refused(main("run", "-m", "no_such_package.module"), "no_such_package")
    assert_refused(main("run", "-m", "package_without_main"), "package_without_main")
    assert_refused(main("run", "-m", "module_with_slip"), "module_with_slip")
    assert sys.path == before


def test_an_output_file_that_exists(main: Main, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("mine")
    for option in ("--json", "--trace"):
        result = main("run", "naive", option, "report.json")
        assert_refused(result, "report.json already exists", "--force")
        assert (tmp_path / "report.json").read_text() == "mine"


def test_an_output_file_that_cannot_be(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for option in ("--json", "--trace"):
        assert_refused(main("run", "naive", option, "folder"), "folder is a folder")
        assert_refused(main("run", "naive", option, "nowhere/report.json"), "there is no folder")
        assert_refused(main("run", "naive", option, "file/report.json"), "file")
    access = os.access

    def refuse(path: Any, mode: int, **more: Any) -> bool:
        return Path(path).name != "folder" and access(path, mode, **more)

    # Root may write anywhere, so the refusal is made here.
    monkeypatch.setattr(os, "access", refuse)
    assert_refused(main("run", "naive", "--json", "folder/report.json"), "cannot write in")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in any folder")
def test_a_folder_without_permission(main: Main, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o500)
    assert_refused(main("run", "naive", "--json", "folder/report.json"), "cannot write in")


def test_one_file_for_two_documents(main: Main, tmp_path: Path) -> None:
    result = main("run", "naive", "--json", "a.json", "--trace", "./a.json")
    assert_refused(result, "a.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there(main: Main) -> None:
    assert_refused(main("run", "naive", "--device", "cuda"), "--device cuda", "--device cpu")


def test_wrong_arguments_of_a_scenario(main: Main, tmp_path: Path) -> None:
    assert_refused(main("run", "naive", "--data", "mnist"), "--data mnist", "--data-root")
    root = ("--data-root", str(tmp_path / "empty"))
    assert_refused(main("run", "naive", "--data", "mnist", *root), "help: ")
    assert_refused(main("run", "naive", "--lr", "-1"), "--lr")
    assert_refused(main("run", "naive", "--optimizer", "adamw"), "adamw")
    assert_refused(main("run", "naive", "--no-such-option"), "--no-such-option")
    (tmp_path / "images.png").write_text("mine")
    assert_refused(main("run", "naive", "--samples", "images.png"), "images.png exists")
    # Refused before the run: there is nothing to report.
    assert_refused(main("run", "naive", "--lr", "-1", "--json", "report.json"))
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("rum", "naive"), ("run",), ("run", "naive", "--json"), ("list", "--wrong"),
        ("list", "more"), ("explain", "GL001", "GL002"), ("--wrong",), ("run", "-m"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_of_the_command(main: Main, words: tuple[str, ...]) -> None:
    assert_refused(main(*words))


def test_check_refuses_a_file_that_promises_nothing(main: Main, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text('"""Title."""\n')
    assert_refused(main("check", "script.py"), "script.py has no expect line", "expect: ")


def test_no_words_at_all_show_the_help(main: Main) -> None:
    code, out, err = main()
    assert code in (0, 2)
    text = out or err
    assert "error:" not in text
    assert text.startswith("Usage: ")
    assert len(text.splitlines()) > 5

"""The command line: what it refuses and how, exit codes, and scripts that feel at home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.cells import cell_len

from graphlab import cli as command_line
from graphlab.output import files

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Main:
    """``main(*words)``: the console script in this process, in `tmp_path`: (code, out, err)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["graphlab", *words])
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        out, err = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int)
        return code, out, err

    return run


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


# Without torch

# One interpreter for all of them: whoever imported something heavy would be the first.
PROBE = """
import contextlib, io, json, runpy, sys
told = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["graphlab", *words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module("graphlab", run_name="__main__")
        except SystemExit as done:
            code = done.code
    heavy = {name.partition(".")[0] for name in sys.modules} & {"torch", "numpy", "IPython"}
    told.append([code, out.getvalue(), err.getvalue(), sorted(heavy)])
print(json.dumps(told))
"""
ANSWERED = [
    ("--help",), ("-h",), ("--version",), ("list",), ("explain",), ("explain", "GL001"),
    ("explain", "stale-saved-tensor"), ("run", "--help"), ("check", "--help"),
    ("render", "--help"), ("compare", "--help"),
]  # fmt: skip
REFUSED = [
    ("run", "naiv"), ("compare", "naiv"), ("compare", "naive", "--figure", "f.png"),
    ("explain", "GL999"), ("run", "nowhere.py"), ("check", "naiv"), (),
]  # fmt: skip


def test_what_needs_no_torch_imports_none(python: Any) -> None:
    done = python("-c", PROBE, json.dumps([*ANSWERED, *REFUSED]))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    for words, (code, out, err, heavy) in zip([*ANSWERED, *REFUSED], told, strict=True):
        assert heavy == [], words
        assert "Traceback" not in err
        assert words not in ANSWERED or (code == 0 and out), words
        if "--help" in words or "-h" in words:
            assert err == "" and out.startswith("Usage: ")
            assert "\x1b" not in out
            assert all(cell_len(line) <= 80 for line in out.splitlines())


# What is refused


def test_a_misspelt_scenario(main: Main) -> None:
    assert_refused(main("run", "naiv"), "'naiv'", "did you mean naive?")
    assert_refused(main("check", "naiv"), "'naiv'", "did you mean naive?")
    assert_refused(main("run", "xyzzy"), "'xyzzy'", "graphlab list")


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
    assert_refused(main("check", "script.py"), "script.py states no expectation", "expect: ")


def test_no_words_at_all_show_the_help(main: Main) -> None:
    code, out, err = main()
    assert code in (0, 2)
    text = out or err
    assert "error:" not in text
    assert text.startswith("Usage: ")
    assert len(text.splitlines()) > 5


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    # The pipe has no reader from the start, so the very first write meets that.
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "graphlab", "list"], stdout=pipe, stderr=subprocess.PIPE,
            text=True, timeout=60, env=environment(), cwd=tmp_path,
        )  # fmt: skip
    assert done.stderr == ""


def environment() -> dict[str, str]:
    root = str(Path(command_line.__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": root}


# Exit codes and outputs

ENDINGS = {
    "": 0,
    "raise ValueError('the end')": 1,
    "sys.exit(3)": 3,
    "sys.exit()": 0,
    "sys.exit(None)": 0,
    "sys.exit('the end')": 1,
    "raise KeyboardInterrupt": 130,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_writes_its_report_and_passes_its_code(
    main: Main, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "script.py").write_text(f"import sys, torch\nprint('mine')\n{ending}\n")
    code, out, err = main("run", "script.py", "--json", "report.json", "--trace", "trace.json")
    assert code == ENDINGS[ending]
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert document["schema"] == "graphlab.report/1"
    assert trace["schema"] == "graphlab.trace/1"
    assert document["outcome"] == trace["outcome"]
    # Nothing else is left: no file half written, no temporary name.
    assert {each.name for each in tmp_path.iterdir()} == {"script.py", "report.json", "trace.json"}
    assert out.startswith("mine\n")
    assert ("the end" in err) == ("the end" in ending)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_ctrl_c_reports_and_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for step in range(10**9):\n"
        "    optimizer.zero_grad()\n"
        "    loss = net(torch.ones(1, 2)).sum()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    if step == 10:\n"
        "        print('ready', flush=True)\n"
    )
    command = [sys.executable, "-m", "graphlab", "run", "script.py", "--json", "report.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        # A shell's background jobs, and so their children, are deaf to this signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in out
    # Python's own words for it, and none of ours.
    assert err.count("Traceback") == 1
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert "graphlab/" not in err
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert document["outcome"] == "interrupted"
    assert document["optimizers"][0]["steps"] > 10
    assert {each.name for each in tmp_path.iterdir()} == {"script.py", "report.json"}


def test_strict_makes_a_warning_count(main: Main) -> None:
    words = ("--steps", "8", "--device", "cpu")
    assert main("run", "joint", *words)[0] == 0
    assert main("run", "joint", "--strict", *words)[0] == 1
    assert main("run", "detach", "--strict", *words)[0] == 0
    assert main("run", "naive", "--strict", *words)[0] == 1


def test_strict_leaves_the_scripts_own_code(main: Main, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nsys.exit(7)\n")
    assert main("run", "--strict", "script.py")[0] == 7


def test_force_replaces(main: Main, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("mine")
    words = ("--steps", "2", "--device", "cpu", "--json", "report.json", "--force")
    assert main("run", "detach", *words)[0] == 0
    assert json.loads((tmp_path / "report.json").read_text())["target"] == "detach"


def test_a_file_that_the_script_made_meanwhile_is_kept(main: Main, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("open('report.json', 'w').write('mine')\n")
    code, _, err = main("run", "script.py", "--json", "report.json")
    assert (tmp_path / "report.json").read_text() == "mine"
    assert code == 0, "it is the script's own"
    error = err.splitlines()[-1]
    assert error.startswith("error: ") and "report.json already exists" in error
    assert {each.name for each in tmp_path.iterdir()} == {"script.py", "report.json"}


def test_files_are_written_where_they_were_named(main: Main, tmp_path: Path) -> None:
    """Also when the script has gone to another folder meanwhile."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "script.py").write_text("import os, torch\nos.chdir('elsewhere')\n1 / 0\n")
    code, out, _ = main("run", "script.py", "--json", "report.json", "--trace", "trace.json")
    assert code == 1
    assert "ZeroDivisionError" in out
    assert {each.name for each in tmp_path.iterdir() if each.is_file()} == {
        "script.py", "report.json", "trace.json"
    }  # fmt: skip
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_is_gone_after_the_run_is_told_in_one_line(
    main: Main, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "script.py").write_text("import os\nos.rmdir('folder')\n")
    code, out, err = main("run", "script.py", "--json", "folder/report.json")
    assert code == 0, "it is the script's own"
    assert "script.py completed" in out
    assert err.count("\n") == 1
    assert err.startswith("error: cannot write ") and "folder/report.json" in err


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


# As under plain Python

SELF = """
import os, sys
import sibling
from dataclasses import dataclass
import pickle

@dataclass
class Point:
    x: int = 1

print(sys.argv)
print(sys.path)
print(__name__, __package__, __doc__, __spec__ and __spec__.name, __cached__)
print(__file__)
print(os.getcwd())
print(type(__builtins__).__name__, type(__loader__).__name__)
print(sys.modules["__main__"].__dict__ is globals())
print(pickle.loads(pickle.dumps(Point())), sibling.__name__)
print(sorted({name for name in globals() if name.startswith("__")} - {"__annotations__"}))
print(sys.stdin.read() == "", sys.flags.isolated, sys.exc_info())
try:
    1 / 0
except ZeroDivisionError as error:
    print(error.__traceback__.tb_frame.f_code.co_filename, error.__traceback__.tb_next)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("script.py",),
        ("folder/script.py", "one", "--two", "3"),
        ("./script.py", "one"),
        ("-m", "package.module", "one", "--two"),
        ("-m", "package", "one"),
    ],
    ids=" ".join,
)
def test_a_script_finds_itself_as_under_python(
    python: Any, cli: Any, tmp_path: Path, words: tuple[str, ...]
) -> None:
    for folder in ("folder", "package"):
        (tmp_path / folder).mkdir()
    for path in ("script.py", "folder/script.py", "package/module.py", "package/__main__.py"):
        (tmp_path / path).write_text(SELF, encoding="utf-8")
    for path in ("sibling.py", "folder/sibling.py", "package/__init__.py"):
        (tmp_path / path).write_text("", encoding="utf-8")
    plain = python(*words)
    assert plain.returncode == 0, plain.stderr
    watched = cli("run", *words)
    assert (watched.returncode, watched.stderr) == (0, ""), watched.stderr
    lines = plain.stdout.splitlines()
    assert watched.stdout.splitlines()[: len(lines)] == lines


def test_options_after_two_dashes_are_the_scripts_own(
    main: Main, python: Any, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text("import sys\nprint(sys.argv)\n")
    words = ("--explain", "--json", "x", "-h", "--strict")
    plain = python("script.py", *words).stdout
    code, out, _ = main("run", "script.py", "--", *words)
    assert code == 0
    assert out.startswith(plain)
    assert not (tmp_path / "x").exists()


def test_results_are_on_stdout_and_notices_on_stderr(main: Main) -> None:
    code, out, err = main("run", "naive", "--device", "cpu")
    assert code == 1
    assert out.startswith("✗ naive raised RuntimeError in iteration 0\n")
    assert "error[GL001]" in out
    assert "Traceback" in err
    hint = "the whole story: graphlab run naive --explain -- --device cpu"
    assert err.splitlines()[-1] == hint
    # What the hint says is understood, and gives the longer report.
    assert len(main(*hint.partition("graphlab ")[2].split())[1]) > len(out)
    assert "Traceback" not in out

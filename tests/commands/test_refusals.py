"""What the command line refuses: one line on what is wrong, one on what to do, exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from graphlab.rules.registry import RULES

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def odd_files(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text("-" * 100_000 + "1\n")
    (tmp_path / "outside.py").write_text("return 1\n")
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "number.json").write_text("3")
    (tmp_path / "nested.json").write_text("[" * 100_000)
    (tmp_path / "dangling.json").symlink_to("nowhere/there.json")
    (tmp_path / "loop.json").symlink_to("loop.json")
    os.mkfifo(tmp_path / "pipe.json")
    for name, source in (("raises_on_import", "1 / 0\n"), ("exits_on_import", "exit(3)\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)
        (tmp_path / name / "module.py").write_text("")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # Programs
        (("run", "deep.py"), "deep.py is nested too deep for Python"),
        (("check", "deep.py"), "deep.py is nested too deep for Python"),
        (("run", "-m", "deep"), "nested too deep for Python"),
        (("run", "outside.py"), "line 1 of outside.py is not valid Python: 'return' outside"),
        (("run", "latin.py"), "latin.py is not valid Python"),
        (("run", "null.py"), "null.py is not valid Python"),
        (("run", "folder.py"), "folder.py is a folder"),
        (("check", "folder.py"), "no script in folder.py is an exercise"),
        (("run", ""), "no scenario is called ''"),
        (("run", "a\0b.py"), r"there is no file a\x00b.py"),
        (("run", "a\nb.py"), "there is no file a b.py"),
        (("run", "\x1b[31m.py"), r"there is no file \x1b[31m.py"),
        (("check", "a\0.py"), r"cannot read a\x00.py"),
        (("run", "-c", "print(1)"), "-c is not an option of graphlab"),
        (("run", "-m", ""), "no module "),
        (("run", "-m", ".x"), "no module can be run as .x"),
        (("run", "-m", "raises_on_import.module"), "ZeroDivisionError"),
        (("run", "-m", "exits_on_import.module"), "SystemExit: 3"),
        # Saved runs
        (("run", "--from", "x.json", "-m"), "--from runs no program"),
        (("run", "--from", "x.json", "--", "more"), "--from runs no program"),
        (("run", "--from", "number.json"), "number.json is not a trace"),
        (("run", "--from", "nested.json"), "nested.json is not a trace"),
        (("run", "--from", "folder.py"), "there is no trace in folder.py"),
        (("run", "--from", "a\0"), "cannot be read"),
        # Output files
        (("run", "naive", "--json", ""), "an output file has an empty name"),
        (("run", "naive", "--json", "--strict"), "expected a file name, found --strict"),
        (("run", "naive", "--json", "-", "--trace", "-"), "--json and --trace both write to -"),
        (("run", "naive", "--json", "-", "--html", "-"), "--json and --html both write to -"),
        (("run", "naive", "--json", "dangling.json"), "there is no folder"),
        (("run", "naive", "--json", "loop.json"), "cannot write loop.json"),
        (("run", "naive", "--json", "pipe.json", "--force"), "pipe.json is not a regular file"),
        (("run", "naive", "--json", os.devnull, "--force"), "is not a regular file"),
        (("run", "naive", "--json", "x" * 300), "File name too long"),
        (("run", "naive", "--trace", "a\0"), r"cannot write a\x00"),
        (("compare", "--json", "-", "--html", "-"), "--json and --html both write to -"),
        # Figures
        (("render", "--timeout", "nan"), "invalid value 'nan' for --timeout"),
        (("render", "--timeout", "inf"), "invalid value inf for --timeout"),
        (("render", "--timeout", "0"), "invalid value 0 for --timeout"),
        (("render", "--timeout", "1e300"), "invalid value 1e+300 for --timeout"),
        (("render", "--style", "torchviz", "--level", "module"), "--level has no effect"),
        (("render", "--style", "torchviz", "--loss", "x"), "--loss has no effect"),
        (("render", "--style", "torchviz", "--format", "text"), "torchviz cannot write text"),
        (("render", "-o", "q.png", "--format", "svg"), "q.png ends in .png"),
        (("render", "-o", "q.html", "--format", "svg"), "q.html ends in .html"),
        (("render", "--depth", "2"), "--depth has no effect"),
        (("render", "number.json"), "number.json is not a saved graph"),
        (("render", "nested.json"), "nested.json is not a saved graph"),
        (("render", "number.json", "--at", "1"), "--at and --before need a run"),
        (("render", "number.json", "--colour", "x"), "takes no --colour"),
        (("render", "number.json", "--style", "torchviz"), "torchviz cannot draw a saved graph"),
        (("render", "-o", ""), "has no known extension"),
        # Arguments of scenarios
        (("check", "naive", "--optimizer"), "naive refuses its arguments: argument --optimizer"),
        (("compare", "naive", "--optimizer"), "argument --optimizer"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_is_refused(main: Main, words: tuple[str, ...], said: str) -> None:
    code, out, err = main(*words)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    error, help = err.splitlines()
    assert error.startswith("error: ") and said in error
    assert help.startswith("help: ") and len(help) > len("help: ")


def test_what_fails_on_its_own_is_told_in_two_lines(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(code: str | None) -> int:
        raise KeyError("slip")

    monkeypatch.setattr("graphlab.commands.explain.explain", fail)
    code, out, err = main("explain")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "error: internal error in graphlab: KeyError: 'slip'"
    monkeypatch.setenv("GRAPHLAB_DEBUG", "1")
    assert "Traceback" in main("explain")[2]


def test_a_rule_that_fails_keeps_nothing_from_the_others(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(trace: object) -> list[object]:
        raise KeyError("slip")

    broken = tuple(replace(each, check=fail) if each.code == "GL101" else each for each in RULES)
    monkeypatch.setattr("graphlab.rules.registry.RULES", broken)
    monkeypatch.setattr("graphlab.rules.registry.STRICT", False)
    (tmp_path / "right.py").write_text(
        "import torch\ntorch.ones(1, requires_grad=True).backward()\n"
    )
    (tmp_path / "wrong.py").write_text("import torch\ntorch.ones(1).backward()\n")
    code, out, err = main("run", "right.py")
    assert code == 0 and "not everything was observed" in out and "nothing wrong" not in out
    assert "notice: an internal error kept the rule GL101 from being checked" in out
    assert err == "error: internal error in GL101: KeyError: 'slip'\n"
    code, out, _ = main("run", "wrong.py")
    assert code == 1 and "error[GL005]" in out


def test_rules_that_fail_cost_no_exit_code(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> list[object]:
        raise KeyError("slip")

    (tmp_path / "script.py").write_text("import sys\nsys.exit(7)\n")
    monkeypatch.setattr("graphlab.rules.registry.find", fail)
    code, out, err = main("run", "script.py", "--json", "report.json")
    assert code == 7
    assert out.startswith("\n✓ script.py completed")
    assert err == "error: internal error in the findings: KeyError: 'slip'\n"
    assert (tmp_path / "report.json").exists()


def test_an_observer_that_fails_costs_no_exit_code(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("slip")

    (tmp_path / "script.py").write_text("import sys\nsys.exit(7)\n")
    monkeypatch.setattr("graphlab.observe.build_trace.TraceBuilder.build", fail)
    path = sys.path
    code, out, err = main("run", "script.py")
    assert (code, out) == (7, "")
    assert err == "error: internal error in graphlab: KeyError: 'slip'\n"
    assert sys.path is path

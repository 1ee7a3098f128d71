"""install() in this process: each error is told, whoever the hook passes it on to, and no other."""

from __future__ import annotations

import sys
import textwrap
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graphlab
import graphlab.api.explanation

INSTALL = "import graphlab; graphlab.install()\n"
STALE = """
import torch

weight = torch.ones(3, requires_grad=True)
optimizer = torch.optim.Adam([weight], lr=0.1)
first, second = (weight * weight).sum(), (weight * 2).sum()
second.backward()
optimizer.step()
first.backward()
"""


Fails = Callable[..., tuple[str, str]]


@pytest.fixture
def fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Fails:
    """``fails(source, *arguments)``: run it as train.py with the hooks installed, and let them
    have its error: (the traceback, what follows it)."""

    def run(source: str, *arguments: str) -> tuple[str, str]:
        (tmp_path / "train.py").write_text(source, encoding="utf-8")
        main = types.ModuleType("__main__")
        main.__file__ = str(tmp_path / "train.py")
        monkeypatch.setitem(sys.modules, "__main__", main)
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        installed = graphlab.install()
        try:
            exec(compile(source, main.__file__, "exec"), vars(main))
        except BaseException as error:
            # Without the frame of this test, as an uncaught error reaches the hook.
            assert error.__traceback__ is not None
            sys.excepthook(type(error), error, error.__traceback__.tb_next)
        finally:
            installed.uninstall()
        before, mark, after = capsys.readouterr().err.partition("\nerror[")
        return before, mark.lstrip("\n") + after

    return run


CODES = {
    "GL001": STALE,
    "GL002": """
        import torch
        loss = torch.ones(2, requires_grad=True).exp().sum()
        loss.backward()
        loss.backward()
    """,
    "GL003": """
        import torch
        layer = torch.nn.Linear(2, 2)
        layer.weight[0] = 1.0
    """,
    "GL004": """
        import torch
        for row in torch.ones(2, 2, requires_grad=True).exp().unbind():
            row.mul_(2)
    """,
    "GL005": """
        import torch
        layer = torch.nn.Linear(2, 1)
        with torch.no_grad():
            loss = layer(torch.ones(1, 2)).sum()
        loss.backward()
    """,
    "GL006": """
        import torch
        x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        torch.autograd.grad((x * 2).sum(), y)
    """,
    "GL007": """
        import torch
        (torch.ones(2, requires_grad=True) * 2).backward()
    """,
}
SAID = {
    "GL002": "freed here by loss.backward() (inferred)",
    "GL003": "layer.weight is a leaf that requires grad; layer.weight[…] = … would",
    "GL004": "row is a view that autograd cannot follow an in-place write through: row.mul_()",
    "GL005": "no graph leads to loss: torch.no_grad() in line 4 cut it off",
    "GL006": "torch.autograd.grad() asks for the gradient of y, which",
    "GL007": "has shape [2]",
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_that_pytorch_raises(fails: Fails, code: str) -> None:
    traceback, told = fails(textwrap.dedent(CODES[code]), "--lr", "3e-4")
    assert traceback.splitlines()[-1].startswith("RuntimeError: ")
    assert told.startswith(f"error[{code}]: ")
    assert SAID.get(code, "") in " ".join(told.split()), told
    assert told.splitlines()[-1] == "to confirm: graphlab run train.py -- --lr 3e-4"


@pytest.mark.parametrize(
    "source",
    ["import torch; torch.ones(2, 3) @ torch.ones(2, 3)", "raise ValueError('no')", "1 / 0"],
)
def test_nothing_is_added_to_another_error(fails: Fails, source: str) -> None:
    traceback, told = fails(source)
    assert traceback.startswith("Traceback ") and told == ""


def test_a_writer_in_another_file(fails: Fails, tmp_path: Path) -> None:
    """The function that wrote has returned; its file is searched since the script imports it."""
    (tmp_path / "blurring_tools.py").write_text("def blur(image):\n    image.mul_(0.5)\n")
    source = """
        from blurring_tools import blur
        import torch
        hidden = torch.ones(2, requires_grad=True).exp()
        blur(hidden)
        hidden.sum().backward()
    """
    told = " ".join(fails(textwrap.dedent(source))[1].split())
    assert "hidden was saved for backward, then changed in place by image.mul_() (inf" in told
    assert "line not recorded blurring_tools.py 0 → 1 2 │ image.mul_(0.5)" in told


def test_the_hook_that_was_there_comes_first(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        print("the program's own hook:", kind.__name__, file=sys.stderr)

    monkeypatch.setattr(sys, "excepthook", hook)
    before, told = fails(STALE)
    assert before == "the program's own hook: RuntimeError\n"
    assert told.startswith("error[GL001]")


@pytest.mark.parametrize("debug", ["", "1"])
def test_no_hook_of_ours_breaks_the_program(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    """Whatever goes wrong in here, the traceback stands."""

    def broken(error: BaseException) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(graphlab.api.explanation, "explain", broken)
    monkeypatch.setenv("GRAPHLAB_DEBUG", debug)
    said, told = fails(STALE)
    assert told == ""
    before, _, after = said.partition("RuntimeError: one of the variables")
    assert before.startswith("Traceback ")
    assert ("ZeroDivisionError: a bug of ours" in after) == bool(debug)


def test_another_thread(
    fails: Fails, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Python's own, in place of pytest's, which keeps such errors for a warning.
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    source = f"""
import threading

def train():
{textwrap.indent(STALE, "    ")}

thread = threading.Thread(target=train, name="trainer")
thread.start()
thread.join()
"""
    traceback, told = fails(source)
    assert traceback.startswith("Exception in thread trainer:\n")
    assert told.startswith("error[GL001]: weight was saved")


def test_under_graphlab_run_the_report_speaks_alone(tmp_path: Path, command: Any) -> None:
    (tmp_path / "train.py").write_text(INSTALL + STALE, encoding="utf-8")
    ran = command("run", "train.py")
    graphlab.install().uninstall()
    assert ran.returncode == 1
    assert "GL001" in ran.stdout
    assert "to confirm" not in ran.stderr + ran.stdout
    assert "inferred" not in ran.stderr + ran.stdout


def test_installed_once_and_taken_away() -> None:
    before = sys.excepthook, threading.excepthook
    installed = graphlab.install()
    try:
        assert graphlab.install() is installed
        assert sys.excepthook is not before[0]
        assert threading.excepthook is not before[1]
    finally:
        installed.uninstall()
    assert (sys.excepthook, threading.excepthook) == before
    installed.uninstall()
    assert (sys.excepthook, threading.excepthook) == before
    again = graphlab.install()
    assert again is not installed
    again.uninstall()
    assert (sys.excepthook, threading.excepthook) == before


def test_a_hook_set_since_is_left_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.excepthook
    installed = graphlab.install()
    inner = sys.excepthook

    def outer(*args: object) -> None:
        inner(*args)  # type: ignore[arg-type]

    sys.excepthook = outer
    try:
        installed.uninstall()
        assert sys.excepthook is outer
        with pytest.raises(RuntimeError) as caught:
            exec(compile(STALE, "<string>", "exec"), {})
        capsys.readouterr()
        outer(caught.type, caught.value, caught.value.__traceback__)
        err = capsys.readouterr().err
        assert "RuntimeError: one of the variables" in err
        assert "GL001" not in err
    finally:
        sys.excepthook = before

"""install(): hooks that say something after an autograd error, and nothing else ever."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import graphlab
from graphlab import catalogue

Python = Callable[..., "subprocess.CompletedProcess[str]"]

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


@pytest.fixture
def script(tmp_path: Path, python: Python) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``script(source, *arguments)``: run it as train.py in a new interpreter."""

    def run(
        source: str, *arguments: str, **options: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "train.py").write_text(source, encoding="utf-8")
        return python("train.py", *arguments, **options)

    return run


def parts(err: str) -> tuple[str, str]:
    """(the traceback, what follows it)."""
    before, mark, after = err.partition("\nerror[")
    return before, mark.lstrip("\n") + after


def test_the_naive_loop(tmp_path: Path, python: Python) -> None:
    """The post's own failure, from its traceback alone."""
    source = catalogue.scenario("naive").path.read_text(encoding="utf-8")
    source = source.replace("import torch\n", f"{INSTALL}import torch\n", 1)
    (tmp_path / "naive.py").write_text(source, encoding="utf-8")
    lines = source.splitlines()
    ran = python("naive.py", "--steps", "8", "--device", "cpu", "--optimizer", "adam")
    assert ran.returncode == 1
    traceback, told = parts(ran.stderr)
    assert traceback.splitlines()[-1].startswith("RuntimeError: one of the variables needed")
    for part in (
        "error[GL001]: D.4.weight was saved for backward, then changed in place by",
        "1. D.4.weight saved by AddmmBackward0 in D.4, line not recorded",
        f"1 → 2   {lines.index('        optimizer_D.step()') + 1} │ optimizer_D.step()",
        "2. written here by optimizer_D.step() (inferred)",
        f"{lines.index('        G_loss_.backward()') + 1} │ G_loss_.backward()",
        "3. needed here at version 1, but it is at 2",
        "D.2.weight (1 → 2), D.0.weight (1 → 2)",
        "inferred: optimizer_D is the only optimizer that owns D.4.weight,",
        "D.2.weight and D.0.weight, and its state says that it has stepped",
        "help: Compute real_logit, gene_logit and Z_B again after optimizer_D.step():",
    ):
        assert part in told, told
    assert told.splitlines()[-1] == (
        "to be sure: graphlab run naive.py -- --steps 8 --device cpu --optimizer adam"
    )
    assert max(map(len, told.splitlines())) <= 80
    assert "\x1b" not in told


def test_nothing_but_the_finding_is_added(script: Callable[..., object], tmp_path: Path) -> None:
    """Standard output, the traceback and the exit code are those of a run without it."""
    source = STALE.replace("second.backward()", "second.backward(); print('so far')")
    with_it = script(INSTALL + source)
    without = script("\n" + source)
    assert with_it.returncode == without.returncode == 1  # type: ignore[attr-defined]
    assert with_it.stdout == without.stdout == "so far\n"  # type: ignore[attr-defined]
    traceback, told = parts(with_it.stderr)  # type: ignore[attr-defined]
    assert traceback == without.stderr  # type: ignore[attr-defined]
    assert told.startswith("error[GL001]: weight was saved")


@pytest.mark.parametrize(
    "ending",
    [
        "raise ValueError('no')",
        "import torch; torch.ones(2, 3) @ torch.ones(2, 3)",
        "import torch; torch.autograd.grad",
        "raise SystemExit(3)",
        "raise SystemExit('bye')",
        "import sys; sys.exit()",
        "raise KeyboardInterrupt",
        "print('fine')",
        "1 / 0",
        "def f(:",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError from e",
        "import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
        "import os; os._exit(5)",
        "class E(BaseException): pass\nraise E",
    ],
)
def test_other_endings_are_the_same_byte_for_byte(
    script: Callable[..., subprocess.CompletedProcess[str]], ending: str
) -> None:
    with_it, without = script(INSTALL + ending), script("\n" + ending)
    assert with_it.returncode == without.returncode
    assert with_it.stdout == without.stdout
    assert _scrubbed(with_it.stderr) == _scrubbed(without.stderr)


def _scrubbed(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0x", text)


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
    "GL005": "no graph leads to loss: torch.no_grad() in line 5 cut it off",
    "GL006": "torch.autograd.grad() asks for the gradient of y, which",
    "GL007": "has shape [2]",
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_that_pytorch_raises(
    script: Callable[..., subprocess.CompletedProcess[str]], code: str
) -> None:
    ran = script(INSTALL + textwrap.dedent(CODES[code]), "--lr", "3e-4")
    assert ran.returncode == 1
    _, told = parts(ran.stderr)
    assert told.startswith(f"error[{code}]: ")
    assert SAID.get(code, "") in " ".join(told.split()), told
    assert told.splitlines()[-1] == "to be sure: graphlab run train.py -- --lr 3e-4"


def test_a_module(tmp_path: Path, python: Python) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(INSTALL + STALE, encoding="utf-8")
    ran = python("-m", "package.train", "--lr", "1")
    assert "weight was saved for backward" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "to be sure: graphlab run -m package.train -- --lr 1"


def test_a_program_on_the_command_line(python: Python) -> None:
    ran = python("-c", INSTALL + STALE)
    assert "was saved for backward" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "to be sure: with graphlab.watch():"


def test_a_writer_in_another_file(tmp_path: Path, python: Python) -> None:
    """The function that wrote has returned; its file is searched since the script imports it."""
    (tmp_path / "tools.py").write_text("def blur(image):\n    image.mul_(0.5)\n", encoding="utf-8")
    source = """
        from tools import blur
        import torch
        hidden = torch.ones(2, requires_grad=True).exp()
        blur(hidden)
        hidden.sum().backward()
    """
    (tmp_path / "train.py").write_text(INSTALL + textwrap.dedent(source), encoding="utf-8")
    told = " ".join(python("train.py").stderr.split())
    assert "hidden was saved for backward, then changed in place by image.mul_() (inf" in told
    assert "line not recorded tools.py 0 → 1 2 │ image.mul_(0.5)" in told


def test_another_thread(script: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    source = f"""{INSTALL}
import threading

def train():
{textwrap.indent(STALE, "    ")}

thread = threading.Thread(target=train, name="trainer")
thread.start()
thread.join()
print("still here")
"""
    ran = script(source)
    assert (ran.returncode, ran.stdout) == (0, "still here\n")
    traceback, told = parts(ran.stderr)
    assert traceback.startswith("Exception in thread trainer:\n")
    assert told.startswith("error[GL001]: weight was saved")


def test_the_hook_that_was_there_comes_first(
    script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    source = f"""
import sys

def hook(kind, error, traceback):
    print("the program's own hook:", kind.__name__, file=sys.stderr)

sys.excepthook = hook
{INSTALL}
{STALE}
"""
    ran = script(source)
    assert ran.returncode == 1
    before, told = parts(ran.stderr)
    assert before == "the program's own hook: RuntimeError\n"
    assert told.startswith("error[GL001]")


def test_no_hook_of_ours_breaks_the_program(
    script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Whatever goes wrong in here, the traceback and the exit code stand."""
    source = f"""{INSTALL}
import graphlab.explanation

def broken(error):
    raise ZeroDivisionError("a bug of ours")

graphlab.explanation.explain = broken
{STALE}
"""
    ran = script(source)
    assert ran.returncode == 1
    assert "ZeroDivisionError" not in ran.stderr
    assert ran.stderr.rstrip().splitlines()[-1].startswith("RuntimeError: one of the variables")
    ran = script(source, env={"GRAPHLAB_DEBUG": "1"})
    assert ran.returncode == 1
    assert "ZeroDivisionError: a bug of ours" in ran.stderr


def test_under_graphlab_run_the_report_speaks_alone(tmp_path: Path, python: Python) -> None:
    (tmp_path / "train.py").write_text(INSTALL + STALE, encoding="utf-8")
    ran = python("-m", "graphlab", "run", "train.py")
    assert ran.returncode == 1
    assert "GL001" in ran.stdout
    assert "to be sure" not in ran.stderr + ran.stdout
    assert "inferred" not in ran.stderr + ran.stdout


# In this process


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


def test_it_costs_no_import(python: Python) -> None:
    """Neither torch nor rich nor any of graphlab's own parts, until something has failed."""
    source = f"""{INSTALL}
import sys
print(sorted(name for name in sys.modules if name.startswith(("torch", "rich", "graphlab"))))
"""
    assert python("-c", source).stdout == "['graphlab', 'graphlab.api', 'graphlab.api.install']\n"


def test_nothing_is_put_on_the_hot_path(python: Python) -> None:
    source = """
import sys, threading, torch
from torch.optim import optimizer
{}
print(sys.gettrace(), sys.getprofile(), torch.Tensor.add_, torch.Tensor.backward.__module__)
print(len(optimizer._global_optimizer_pre_hooks), torch.optim.Optimizer.__init__.__module__)
"""
    without = python("-c", source.format(""))
    assert without.returncode == 0
    assert python("-c", source.format(INSTALL)).stdout == without.stdout


# IPython

CELLS = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_cell("import graphlab; handle = graphlab.install()")
shell.run_cell("import torch; hidden = torch.ones(2, requires_grad=True).exp()")
shell.run_cell("hidden += 1")
shell.run_cell("1 / 0")
print("=" * 20)
shell.run_cell("hidden.sum().backward()")
print("=" * 20)
shell.run_cell("handle.uninstall()")
shell.run_cell("hidden.sum().backward()")
"""


@pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="IPython is not installed")
def test_in_ipython(python: Python, tmp_path: Path) -> None:
    ran = python("-c", CELLS, env={"IPYTHONDIR": str(tmp_path), "NO_COLOR": "1"})
    assert ran.returncode == 0, ran.stderr
    before, told, after = ran.stdout.split("=" * 20)
    assert "ZeroDivisionError" in before and "error[" not in before
    traceback, mark, finding = told.partition("error[GL001]")
    assert mark and "RuntimeError" in traceback
    assert "hidden was saved for backward" in finding
    assert "hidden += … (inferred)" in finding
    assert "to be sure: with graphlab.watch():" in finding
    assert "RuntimeError" in after and "GL001" not in after

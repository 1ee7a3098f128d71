"""install(): hooks that say something after an autograd error, and nothing else ever."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
        "to confirm: graphlab run naive.py -- --steps 8 --device cpu --optimizer adam"
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


def test_a_module(tmp_path: Path, python: Python) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(INSTALL + STALE, encoding="utf-8")
    ran = python("-m", "package.train", "--lr", "1")
    assert "weight was saved for backward" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "to confirm: graphlab run -m package.train -- --lr 1"


def test_a_program_on_the_command_line(python: Python) -> None:
    ran = python("-c", INSTALL + STALE)
    assert "was saved for backward" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "to confirm: with graphlab.watch():"


def test_it_costs_no_import(python: Python) -> None:
    """Neither torch nor rich nor any part of graphlab's but this, until something has failed."""
    source = f"""{INSTALL}
import sys
print(sorted(name for name in sys.modules if name.startswith(("torch", "rich", "graphlab"))))
"""
    assert python("-c", source).stdout == (
        "['graphlab', 'graphlab._version', 'graphlab.api', 'graphlab.api.install']\n"
    )


def test_nothing_is_put_on_the_hot_path(python: Python) -> None:
    source = f"""
import sys, torch
from torch.optim import optimizer

def looked_up():
    hooks = len(optimizer._global_optimizer_pre_hooks)
    return (sys.gettrace(), sys.getprofile(), torch.Tensor.add_, torch.Tensor.__iadd__, hooks,
            torch.Tensor.backward.__module__, torch.optim.Optimizer.__init__.__module__,
            torch.nn.Module.__call__.__code__)

before = looked_up()
{INSTALL}
print(looked_up() == before)
"""
    assert python("-c", source).stdout == "True\n"


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
    assert "to confirm: with graphlab.watch():" in finding
    assert "RuntimeError" in after and "GL001" not in after

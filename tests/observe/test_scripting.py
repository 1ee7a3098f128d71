"""torch.jit.script looks for its caller's variables by counting frames."""

from __future__ import annotations

import contextlib
import inspect
import subprocess
import sys
from pathlib import Path

import torch

import graphlab
from graphlab.observe.hooks.code_swap import Swap

SCALE = 3


def scripted() -> float:
    def twice(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    class Local:
        def __init__(self, a: int) -> None:
            self.a = twice(torch.tensor(a))

    return float(torch.jit.script(Local)(SCALE).a)  # pyright: ignore[reportCallIssue]


def test_a_class_that_is_scripted_finds_its_callers_variables() -> None:
    code = torch.jit.script.__code__
    plain = scripted()
    with graphlab.watch():
        assert scripted() == plain == 6.0
    assert torch.jit.script.__code__ is code


def test_modules_and_writes_are_noted_again_after_it() -> None:
    call = torch.nn.Module.__call__
    with graphlab.watch() as session:
        watched = call.__code__
        scripted()
        assert call.__code__ is watched
        hidden = torch.nn.Linear(3, 2)(torch.randn(4, 3)).sigmoid()
        hidden += 1
        with contextlib.suppress(RuntimeError):
            hidden.sum().backward()
    (finding,) = session.findings
    assert finding.code == "GL001" and finding.summary.startswith("hidden was saved")
    assert "hidden += " in finding.summary


def test_scripting_and_tracing_can_be_surrounded() -> None:
    """Where torch changes so that they cannot, the patches stay in place as it compiles."""
    for function in (torch.jit.script, torch.jit.trace):
        swap = Swap(inspect.unwrap(function), lambda first: None, lambda token, result: None)
        swap.put_in()
        try:
            assert swap.code is not None
        finally:
            swap.take_out()


def test_torchs_own_scripted_classes_can_be_imported(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("import torch\nimport torch.distributed.optim\n", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "graphlab", "run", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr

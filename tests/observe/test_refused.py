"""Operations that torch refuses: which finding, which lines, and silence where nothing applies.

The programs are in refused.txt. Each is run observed, and then explained from its traceback alone,
which may name no cause but never a wrong one.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from graphlab.observe.observation import Observation
from graphlab.observe.postmortem.build_trace import post_mortem
from graphlab.rules.registry import find
from graphlab.trace.model import Trace

HERE = Path(__file__).parent


class Program(NamedTuple):
    name: str
    code: str
    text: str

    def marked(self, word: str) -> list[int]:
        lines = enumerate(self.text.splitlines(), 1)
        return [at for at, line in lines if re.search(rf"#.*\b{word}\b", line)]

    def names(self) -> list[str]:
        found = re.search(r"#.*tensor=(\S+)", self.text)
        return found[1].split(",") if found is not None else []


def programs() -> list[Program]:
    parts = re.split(r"^#=== (\S+) (\S+)\n", (HERE / "refused.txt").read_text(), flags=re.M)[1:]
    return [Program(*each) for each in zip(parts[::3], parts[1::3], parts[2::3], strict=True)]


def run(path: Path) -> Exception | None:
    """What the program raised, from its own first frame on."""
    torch.manual_seed(0)
    error: Exception | None = None
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            runpy.run_path(str(path), run_name="__main__")
        except Exception as raised:
            error = raised
    if error is not None:
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename != str(path):
            tb = tb.tb_next
        error = error.with_traceback(tb)
    return error


def told(trace: Trace | None) -> list[tuple[Any, ...]]:
    """(code, failed, cause, tensor) of each finding above info."""
    found = find(trace) if trace is not None else []

    def line(place: Any) -> int | None:
        return place.at.line if place is not None and place.at is not None else None

    return [
        (each.code, line(each.failed), line(each.cause), each.tensor and each.tensor.tensor.name)
        for each in found
        if each.severity != "info"
    ]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(HERE / "helper_of_refused.py", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "helper_of_refused", raising=False)
    return tmp_path / "program.py"


@pytest.fixture(autouse=True)
def _gradients_and_hooks_as_before() -> Any:
    # A program may leave a hook for all modules behind.
    hooks = torch.nn.modules.module._global_backward_hooks
    before = dict(hooks)
    yield
    hooks.clear()
    hooks.update(before)
    torch.nn.modules.module._global_is_full_backward_hook = None


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)
def test_the_lines_are_named(program: Program, path: Path) -> None:
    path.write_text(program.text)
    observation = Observation(str(path), (str(path),))
    observation.start(sys._getframe())
    error = None
    try:
        error = run(path)
    finally:
        observation.stop(error)
    assert observation.trace.unseen == ()
    check(program, told(observation.trace), sure=True)


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)
def test_a_traceback_alone_names_no_wrong_line(program: Program, path: Path) -> None:
    path.write_text(program.text)
    error = run(path)
    trace = post_mortem(error, str(path), (str(path),)) if error is not None else None
    check(program, told(trace), sure=False)


def check(program: Program, findings: list[tuple[Any, ...]], sure: bool) -> None:
    if program.code == "none":
        assert findings == []
        return
    ((code, failed, cause, tensor),) = findings
    assert code == program.code
    assert failed in program.marked("FAILED")
    causes = program.marked("CAUSE")
    assert cause in causes or (cause is None and not (sure and causes))
    assert not program.names() or tensor in program.names()

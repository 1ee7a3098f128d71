"""What the tests share: one thread, runs under observation, and the command, in this process or
in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from unittest import mock

import pytest

import graphlab
from graphlab import catalogue
from graphlab.rules import registry
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Trace
from graphlab.trace.store import dumps, loads

# Before torch is imported. Tiny matrices gain nothing from a second thread, and idle ones burn
# the cores that they wait on.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A run in a pipe is 80 columns wide and without colour; nothing of the caller's may change that.
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)

# An error in a rule is a failure, not a finding without its edit.
registry.STRICT = True

# The texts that tests read are English, whoever runs them.
os.environ["GRAPHLAB_LANG"] = "en"

# Installed, pytest finds the plugin by its entry point; in a bare checkout it is named here.
pytest_plugins = ["pytester"]
if "graphlab" not in {each.name for each in entry_points(group="pytest11")}:
    pytest_plugins.append("graphlab.pytest_plugin")

PACKAGE = Path(graphlab.__file__).resolve().parent


@dataclass(frozen=True)
class Observed:
    """What became of a run: the trace, what the rules say to it, and what the program printed."""

    trace: Trace
    findings: list[Finding]
    exit_code: int
    out: str
    err: str

    @property
    def told(self) -> list[Finding]:
        """The findings above info."""
        return [finding for finding in self.findings if finding.severity != "info"]

    @property
    def only(self) -> Finding:
        """The one finding above info."""
        assert len(self.told) == 1, [finding.summary for finding in self.told]
        return self.told[0]


Observe = Callable[..., Observed]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def observe() -> Observe:
    """``observe(target, *arguments)``: a scenario by name, or a script by path, in this process.

    A scenario takes 8 steps on the CPU unless the arguments say otherwise.
    """
    from graphlab.observe import program
    from graphlab.rules.registry import find

    def run(target: str | Path, *arguments: str) -> Observed:
        words = list(arguments)
        if isinstance(target, str):
            path = catalogue.scenario(target).path
            for option, value in (("--steps", "8"), ("--device", "cpu")):
                if option not in words:
                    words += [option, value]
        else:
            path = target
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ran = program.run(program.script(str(path)), words, str(target))
        # Whatever a run leaves behind can be saved and opened again.
        assert loads(dumps(ran.trace)) == ran.trace
        # The observer turns its own failures into notices; in a test they are failures.
        assert ran.trace.unseen == ()
        return Observed(ran.trace, find(ran.trace), ran.exit_code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def applied() -> Callable[[Help, str], str]:
    """``applied(help, source)``: `source` with the help's `before`, which must stand where it
    says, replaced by `after`."""

    def apply(help: Help, source: str) -> str:
        assert help.line is not None
        lines = source.splitlines(keepends=True)
        start = sum(len(line) for line in lines[: help.line - 1])
        assert source[start : start + len(help.before)] == help.before
        assert help.before.endswith("\n")
        return source[:start] + help.after + source[start + len(help.before) :]

    return apply


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, in which graphlab can be imported from any folder."""
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **changes}


@pytest.fixture
def python(tmp_path: Path) -> Cli:
    """``python(*arguments, cwd=…, env={…})``: a new interpreter, in `tmp_path` by default."""

    def run(
        *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=cwd or tmp_path, env=environment(**env or {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def cli(python: Cli) -> Cli:
    """``cli(*arguments, cwd=…, env={…})``: `python -m graphlab` with those arguments."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return python("-m", "graphlab", *arguments, **options)

    return run


@pytest.fixture(scope="session")
def command_in() -> Cli:
    """``command_in(folder, *words)``: the console script in this process, which costs no
    interpreter of its own and no import of torch."""
    from graphlab import cli

    def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        before, sys.argv = sys.argv, ["graphlab", *words]
        try:
            with (
                contextlib.chdir(folder),
                mock.patch.dict(os.environ, environment()),
                # torch.distributed leaves a hook of its own in the process of another test.
                mock.patch.object(sys, "excepthook", sys.__excepthook__),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as done,
            ):
                cli.main()
        finally:
            sys.argv = before
        code = done.value.code
        assert isinstance(code, int)
        said, told = (each.buffer.getvalue().decode() for each in (out, err))  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(["graphlab", *words], code, said, told)

    return run


@pytest.fixture
def command(command_in: Cli, tmp_path: Path) -> Cli:
    """``command(*words)``: that in `tmp_path`."""
    return lambda *words: command_in(tmp_path, *words)


@pytest.fixture(scope="session")
def warm() -> None:
    """A run in this process forgets the modules that it was first to import, and torch cannot be
    imported twice."""
    import torch

    from graphlab.rules.registry import find
    from graphlab.views import console
    from graphlab.views.terminal import report as terminal

    with contextlib.suppress(RuntimeError), graphlab.watch() as session:
        weight = torch.nn.Parameter(torch.ones(2))
        torch.optim.SGD([weight], lr=0.1).step()
        weight.sum().backward()
        torch.ones(1).backward()
    console.text(terminal.full(session.trace, find(session.trace), []))


@pytest.fixture(scope="session")
def line_in() -> Callable[[Path, str], int]:
    """``line_in(path, code)``: the number of the one line that holds exactly that code."""

    def find(path: Path, code: str) -> int:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [number for number, line in enumerate(lines, 1) if line.strip() == code]
        assert len(found) == 1, f"{code!r} is in lines {found} of {path}"
        return found[0]

    return find


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever imports torch meanwhile gets an ImportError, as on a machine that has none."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    """Programs that are run in this process may leave gradients off, or compiled code: a session
    that begins after a compilation leaves torch's functions alone."""
    yield
    if sys.modules.get("torch") is not None:
        sys.modules["torch"].set_grad_enabled(True)
    if sys.modules.get("torch._dynamo.convert_frame") is not None:
        sys.modules["torch._dynamo"].reset()

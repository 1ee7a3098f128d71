"""After a session nothing remains, whichever way it ended."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
import torch
from torch.nn.modules import module as hooks_of_modules
from torch.optim import optimizer as hooks_of_optimizers

import graphlab


def state() -> dict[str, Any]:
    """Everything that a watcher of torch could leave its fingers on, by identity."""
    optimizers = [
        torch.optim.Optimizer, torch.optim.Adam, torch.optim.SGD, torch.optim.AdamW
    ]  # fmt: skip
    spaces: dict[str, Any] = {
        "Tensor": torch.Tensor,
        "TensorBase": torch._C.TensorBase,
        "Parameter": torch.nn.Parameter,
        "torch": torch,
        "torch._VF": torch._VF,
        "torch._C._nn": torch._C._nn,
        "torch._C": torch._C,
        "torch.autograd": torch.autograd,
        "torch.autograd.graph": torch.autograd.graph,
        "torch.nn.functional": torch.nn.functional,
        "Module": torch.nn.Module,
        "record_function": torch.autograd.profiler.record_function,
        **{each.__name__: each for each in optimizers},
    }
    found: dict[str, Any] = {
        f"{name}.{key}": id(value)
        for name, space in spaces.items()
        for key, value in vars(space).items()
        # A registry of torch's own, which grows as its classes are first used.
        if not isinstance(value, weakref.WeakKeyDictionary) and not key.startswith("__warning")
    }
    for name, hooks in (*vars(hooks_of_optimizers).items(), *vars(hooks_of_modules).items()):
        if name.startswith("_global") and isinstance(hooks, dict):
            found[name] = dict(hooks)
    found["sys.gettrace"] = sys.gettrace()
    found["sys.getprofile"] = sys.getprofile()
    found["sys.monitoring"] = monitored()
    found["threading.gettrace"] = threading.gettrace()
    found["sys.excepthook"] = sys.excepthook
    found["hooks on saved tensors"] = torch._C._autograd._top_saved_tensors_default_hooks(False)
    found["modes"] = torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack()
    found["grad mode"] = torch.is_grad_enabled(), torch.is_anomaly_enabled()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found[f"f_trace of {frame.f_code.co_name} {id(frame)}"] = frame.f_trace
        frame = frame.f_back
    return found


def monitored() -> dict[str, int]:
    """The tools of `sys.monitoring`, and their events."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        return {}
    tools = {each: monitoring.get_tool(each) for each in range(6)}
    return {name: monitoring.get_events(each) for each, name in tools.items() if name}


def assert_as_before(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert {key for key in before if before[key] != after.get(key)} == set()
    assert after.keys() - before.keys() == set()


def train(steps: int = 3) -> None:
    """A little of everything that the watch looks at."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(steps):
        optimizer.zero_grad()
        x = torch.ones(4, 3)
        x[0] = 2
        x += 1
        x.mul_(2).data.add_(1)
        torch.relu_(x)
        loss = net(x).pow(2).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()


def normally() -> None:
    train()


def by_an_error() -> None:
    train()
    raise ValueError("the program's own")


def by_a_torch_error() -> None:
    x = torch.ones(2, requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    loss.backward()


def by_sys_exit() -> None:
    train()
    sys.exit(3)


def by_ctrl_c() -> None:
    train()
    raise KeyboardInterrupt


def by_ctrl_c_in_a_backward() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x * 2

    def hook(grad: torch.Tensor) -> None:
        raise KeyboardInterrupt

    y.register_hook(hook)
    y.sum().backward()


def in_a_step() -> None:
    class Broken(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            raise ValueError("the program's own")

    weight = torch.nn.Parameter(torch.ones(2))
    weight.sum().backward()
    Broken([weight], lr=0.1).step()


ENDINGS: tuple[Callable[[], None], ...] = (
    normally, by_an_error, by_a_torch_error, by_sys_exit, by_ctrl_c, by_ctrl_c_in_a_backward,
    in_a_step,
)  # fmt: skip


@pytest.fixture(autouse=True)
def warm() -> None:
    """torch imports parts of itself, and wraps the steps of optimizers, on first use."""
    train()
    for ending in ENDINGS:
        with contextlib.suppress(BaseException):
            ending()


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda each: each.__name__)
def test_nothing_remains(ending: Callable[[], None]) -> None:
    before = state()
    try:
        with graphlab.watch() as session:
            ending()
    except BaseException as error:
        caught: BaseException | None = error
        # The traceback keeps frames alive, as it does without a watch.
        error.__traceback__ = None
    else:
        caught = None
    assert_as_before(before, state())
    outcome = "raised"
    if caught is None or isinstance(caught, SystemExit):
        outcome = "completed"
    elif isinstance(caught, KeyboardInterrupt):
        outcome = "interrupted"
    assert session.trace.outcome == outcome
    assert session.trace.unseen == ()


def test_the_watch_does_put_something_there() -> None:
    """Or the other tests would pass with a watch that does nothing."""
    before = state()
    with graphlab.watch():
        tracing = sys.gettrace(), monitored()
        during = state()
    changed = {key for key in before if before[key] != during.get(key)}
    changed |= during.keys() - before.keys()
    assert tracing[0] is not None or "graphlab" in tracing[1]
    assert "Tensor.add_" in changed
    assert any(key.startswith("torch._VF.") for key in changed)
    assert any(key.startswith("torch._C._nn.") for key in changed)
    assert any("optimizer" in key for key in changed)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda each: each.__name__)
def test_a_run_of_a_script_leaves_the_process_as_it_was(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ending: Callable[[], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    from graphlab.observe import program

    path = tmp_path / "script.py"
    path.write_text(
        "import os, sys\nsys.argv.append('more')\nsys.path.append('more')\n"
        "os.chdir('/')\nending()\n"
    )
    what = program.script(str(path))

    def process() -> tuple[Any, ...]:
        return (*sys.argv, "|", *sys.path, "|", id(sys.modules["__main__"]), os.getcwd())

    before, here = state(), process()
    # The script reaches this process's function by a name that only it can see.
    sys.modules["builtins"].__dict__["ending"] = ending
    try:
        program.run(what, ["--argument"], "script")
    finally:
        del sys.modules["builtins"].__dict__["ending"]
    capsys.readouterr()
    assert process() == here
    assert_as_before(before, state())


def test_a_session_inside_another_is_a_part_of_it_and_the_outer_one_goes_on() -> None:
    before = state()
    with pytest.raises(RuntimeError) as caught, graphlab.watch() as session:
        with graphlab.watch() as inner:
            train()
        assert [each.steps for each in inner.trace.optimizers] == [3]
        assert inner.findings == []
        with pytest.raises(RuntimeError, match="already open"):
            session.start()
        # The first one still sees who writes.
        x = torch.ones(2, requires_grad=True)
        y = x.exp()
        loss = (y * y).sum()
        y.add_(1)
        loss.backward()
    assert "inplace operation" in str(caught.value)
    caught.value.__traceback__ = None
    from graphlab.rules.registry import find

    (finding,) = find(session.trace)
    assert finding.mutated is not None
    assert finding.mutated.at.code == "y.add_(1)"
    assert [each.steps for each in session.trace.optimizers] == [3]
    assert_as_before(before, state())


def test_a_session_can_follow_another_and_be_stopped_twice() -> None:
    before = state()
    for _ in range(3):
        with graphlab.watch() as session:
            train()
        trace = session.trace
        session.stop(None)
        assert session.trace is trace
        assert trace.optimizers[0].steps == 3
    assert_as_before(before, state())


def test_a_session_that_cannot_begin_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphlab.observe.hooks.step_hooks import StepHooks

    before = state()

    def fail(self: StepHooks) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(StepHooks, "start", fail)
        with pytest.raises(MemoryError), graphlab.watch():
            pass
    assert_as_before(before, state())
    with graphlab.watch() as session:
        train()
    assert session.trace.optimizers[0].steps == 3


def test_a_debugger_gets_its_trace_functions_back() -> None:
    """Coverage and pdb trace with `sys.settrace` too, and the frames they trace hold their own."""

    def debugger(frame: FrameType, event: str, arg: Any) -> Any:
        return debugger

    frame, kept = sys._getframe(), sys.gettrace()
    own = frame.f_trace
    sys.settrace(debugger)
    frame.f_trace = debugger
    try:
        with graphlab.watch():
            train(1)
        after, local = sys.gettrace(), frame.f_trace
    finally:
        sys.settrace(kept)
        frame.f_trace = own
    assert after is debugger
    assert local is debugger


def test_what_the_program_put_there_itself_stays() -> None:
    original = torch.Tensor.add_

    def mine(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return original(self, *args, **kwargs)

    assert "add_" not in vars(torch.Tensor)
    try:
        with graphlab.watch():
            torch.Tensor.add_ = mine
        assert torch.Tensor.add_ is mine
    finally:
        if "add_" in vars(torch.Tensor):
            del torch.Tensor.add_


def test_a_session_keeps_none_of_the_programs_tensors() -> None:
    """Or watching would hold the memory of every step, on the device as well."""
    held: list[weakref.ref[Any]] = []

    def program() -> None:
        net = torch.nn.Linear(3, 1)
        other = torch.nn.Linear(3, 1)
        optimizers = [torch.optim.Adam(each.parameters()) for each in (net, other)]
        for _ in range(3):
            x = torch.ones(2, 3)
            y = net(x)
            loss = y.sum() + other(x).sum()
            loss.backward()
            optimizers[0].step()
            held.extend(weakref.ref(each) for each in (x, y, loss, net.weight.grad))
        held.extend(map(weakref.ref, (net, other, *optimizers, *net.parameters())))

    session = graphlab.watch()
    with session:
        program()
        gc.collect()
        assert [each() for each in held if each() is not None] == []
    assert session.trace.optimizers
    gc.collect()
    assert [each() for each in held if each() is not None] == []


def test_a_watch_may_stand_in_a_function_that_other_code_calls() -> None:
    """Frames between the `with` and the main program are traced, and let go of."""

    def inner() -> FrameType:
        with graphlab.watch():
            train(1)
        return sys._getframe()

    before = state()
    assert inner().f_trace is None
    assert_as_before(before, state())


def test_writers_keep_their_names_and_words() -> None:
    plain = {
        name: (getattr(torch.Tensor, name).__name__, getattr(torch.Tensor, name).__doc__)
        for name in ("add_", "copy_", "zero_", "mul_")
    }
    with graphlab.watch():
        watched = {
            name: (getattr(torch.Tensor, name).__name__, getattr(torch.Tensor, name).__doc__)
            for name in plain
        }
    assert watched == plain


def test_snapshot_sees_modules() -> None:
    """`state` looks into modules by `vars`, which must be their real namespace."""
    assert isinstance(torch._VF, ModuleType)
    assert isinstance(torch._C._nn, ModuleType)


def test_a_body_that_begins_with_a_block_counts_once() -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with graphlab.watch() as session:
        for _ in range(5):
            with torch.enable_grad():
                loss = net(torch.ones(3, 2)).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    assert session.trace.iterations == 5

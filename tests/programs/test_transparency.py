"""Watching changes nothing: not a bit of a parameter, not an error, not a random number."""

from __future__ import annotations

import contextlib
import io
import random
import re
import runpy
import sys
import textwrap
from pathlib import Path
from traceback import walk_tb
from typing import Any

import numpy
import pytest
import torch

import graphlab
from graphlab import catalogue
from graphlab.observe.process_state import PROCESS

# Beyond the first sampled steps and the next: `EVERY` is 61.
STEPS = 64
# Every implementation of every optimizer: foreach, for-loop, fused, and what torch picks itself.
IMPLEMENTATIONS = {
    f"{kind}-{label}": f"torch.optim.{call}, {extra})" if extra else f"torch.optim.{call})"
    for kind, call in {
        "adam": "Adam(NET.parameters(), lr=1e-3, betas=(0.5, 0.999)",
        "sgd": "SGD(NET.parameters(), lr=0.1, momentum=0.5",
    }.items()
    for label, extra in {
        "default": "",
        "foreach": "foreach=True",
        "for-loop": "foreach=False",
        "fused": "fused=True",
    }.items()
}
# What a run leaves behind, written where it ends, by the script itself.
RECORD = """
torch.save({"G": G.state_dict(), "D": D.state_dict(), "losses": losses,
            "rng": torch.get_rng_state(), "states": [o.state_dict()["state"] for o in
            (optimizer_D, optimizer_G)]}, args.samples or "record.pt")
"""


def variant(name: str, implementation: str, folder: Path) -> Path:
    """A scenario with its optimizers built in one way, that records its losses and its end."""
    source = catalogue.scenario(name).path.read_text(encoding="utf-8")
    for net in "DG":
        call = IMPLEMENTATIONS[implementation].replace("NET", net)
        built = source.replace(f"lab.optimizer(args, {net})", call)
        assert built != source
        source = built
    head, _, _ = source.rpartition("lab.finish(args, G)\n")
    head = head.replace("train_loader = ", "losses = []\ntrain_loader = ")
    append = r"\1        losses.append((D_loss_.item(), G_loss_.item()))\n"
    head, count = re.subn(r"(        G_loss_ = .*\n)", append, head)
    assert count == 1
    path = folder / f"{name}.py"
    path.write_text(head + RECORD, encoding="utf-8")
    return path


def recorded(folder: Path) -> dict[str, Any]:
    file = folder / "record.pt"
    content = torch.load(file)
    file.unlink()
    return content


def assert_same(one: Any, other: Any) -> None:
    """Equal to the bit, tensors included."""
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert one.numpy().tobytes() == other.numpy().tobytes()
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def unwatched(path: Path, *arguments: str) -> BaseException | None:
    """Run a script as plain Python would, in this process; its error, if it ends in one."""
    words, sys.argv = sys.argv, [str(path), *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(path), run_name="__main__")
    except Exception as error:
        return error
    finally:
        sys.argv = words
    return None


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_detach_is_the_same_to_the_bit(
    observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implementation: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = variant("detach", implementation, tmp_path)
    steps = 200 if implementation == "adam-default" else STEPS
    arguments = ("--steps", str(steps), "--device", "cpu")
    assert unwatched(path, *arguments) is None
    plain = recorded(tmp_path)
    ran = observe(path, *arguments)
    assert ran.exit_code == 0, ran.err
    watched = recorded(tmp_path)
    assert len(plain["losses"]) == steps
    assert_same(plain, watched)
    assert ran.trace.iterations == steps
    assert ran.told == []


@pytest.mark.parametrize("implementation", ["adam-foreach", "adam-fused", "sgd-for-loop"])
@pytest.mark.parametrize("name", ["joint", "joint-isolated", "recompute"])
def test_the_other_loops_are_the_same_to_the_bit(
    observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, implementation: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = variant(name, implementation, tmp_path)
    arguments = ("--steps", "40", "--device", "cpu")
    assert unwatched(path, *arguments) is None
    plain = recorded(tmp_path)
    assert observe(path, *arguments).exit_code == 0
    assert_same(plain, recorded(tmp_path))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_naive_raises_watched_what_it_raises_unwatched(
    observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implementation: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = variant("naive", implementation, tmp_path)
    arguments = ("--steps", "8", "--device", "cpu")
    error = unwatched(path, *arguments)
    ran = observe(path, *arguments)
    if implementation.endswith("fused"):
        # PyTorch lets it pass; then it must pass watched too, wrong gradients and all.
        assert error is None
        assert ran.exit_code == 0
        assert ran.only.code == "GL105"
        content = recorded(tmp_path)
        assert unwatched(path, *arguments) is None
        assert_same(recorded(tmp_path), content)
        return
    assert type(error) is RuntimeError
    assert "modified by an inplace operation" in str(error)
    failure = ran.trace.exception
    assert failure is not None
    assert (failure.type, failure.message) == ("RuntimeError", str(error))
    assert ran.exit_code == 1
    assert ran.only.code == "GL001"


# Errors that are none of the observer's business, and the ones that are, raised by small programs.
ERRORS = {
    "stale, foreach": """
        w = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
        loss = sum((each * each).sum() for each in w)
        with torch.no_grad():
            torch._foreach_mul_(w, 2.0)
        loss.backward()
    """,
    "stale, out=": """
        x = torch.ones(3, requires_grad=True)
        y = x.exp()
        loss = (y * y).sum()
        torch.add(torch.ones(3), torch.ones(3), out=y.detach())
        loss.backward()
    """,
    "stale, unbind": """
        x = torch.ones(3, 2, requires_grad=True) * 1
        a, b, c = x.unbind()
        a.add_(1)
    """,
    "freed": """
        x = torch.ones(3, requires_grad=True)
        loss = (x * x).sum()
        loss.backward()
        loss.backward()
    """,
    "leaf written": "torch.ones(3, requires_grad=True).add_(1)",
    "leaf assigned": """
        x = torch.ones(3, requires_grad=True)
        x[0] = 2.0
    """,
    "leaf, operator": """
        x = torch.ones(3, requires_grad=True)
        x += 1
    """,
    "view of a leaf": """
        x = torch.ones(3, requires_grad=True)
        x[:2].mul_(2)
    """,
    "inference": """
        with torch.inference_mode():
            x = torch.ones(3)
        x.add_(1)
    """,
    "no graph": "torch.ones(()).backward()",
    "not a scalar": "(torch.ones(3, requires_grad=True) * 2).backward()",
    "unused input": """
        x, y = torch.ones(2, requires_grad=True).unbind()
        torch.autograd.grad((x * x).sum(), [torch.ones(1, requires_grad=True)])
    """,
    "shapes": "torch.ones(3).add_(torch.ones(4))",
    "wrong argument": "torch.ones(3).add_()",
    "keyword only": "torch.nn.init.zeros_(tensor=None)",
    "data": "torch.ones(3).data = 5",
    "data, wrong shape": "torch.ones(3, requires_grad=True).data = torch.ones(3, dtype=torch.int)",
    "the user's own": "raise KeyError('who')",
    "a chain": """
        try:
            torch.ones(3, requires_grad=True).add_(1)
        except RuntimeError as error:
            raise ValueError('on top') from error
    """,
    "recursion": """
        def deeper(n):
            return deeper(n + 1)
        deeper(0)
    """,
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_the_same_watched(name: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text("import torch\n" + textwrap.dedent(ERRORS[name]), encoding="utf-8")
    plain = unwatched(path)
    assert plain is not None
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    with pytest.raises(type(plain)) as caught, graphlab.watch() as session:
        exec(code, {"__name__": "__main__"})
    assert type(caught.value) is type(plain)
    assert str(caught.value) == str(plain)
    assert type(caught.value.__cause__) is type(plain.__cause__)
    # The traceback shows the program and torch, and no line of the watcher's.
    shown = [Path(frame.f_code.co_filename) for frame, _ in walk_tb(caught.value.__traceback__)]
    assert path in shown
    assert not [each for each in shown if "observe" in each.parts]
    assert session.trace.outcome == "raised"
    assert session.trace.unseen == ()
    failure = session.trace.exception
    assert failure is not None
    assert (failure.type, failure.message) == (type(plain).__name__, str(plain))


@pytest.mark.parametrize("name", ["naive", "joint"])
def test_random_numbers_go_on_as_if_unwatched(observe: Any, name: str) -> None:
    path = catalogue.scenario(name).path
    arguments = ("--steps", "8", "--device", "cpu")

    def states() -> tuple[Any, ...]:
        drawn = (random.random(), numpy.random.rand(3).tolist(), torch.rand(3).tolist())
        return (*drawn, torch.get_rng_state().tolist())

    def seed() -> None:
        random.seed(1)
        numpy.random.seed(1)

    seed()
    unwatched(path, *arguments)
    plain = states()
    seed()
    observe(name)
    assert states() == plain


def test_a_view_whose_base_was_written_keeps_its_place_in_the_sum() -> None:
    """To ask such a view for its node makes the node anew, and so moves the order of addition."""

    def gradient() -> torch.Tensor:
        torch.manual_seed(0)
        x = torch.randn(1000, requires_grad=True)
        b = x * 1.0
        v = b[:]
        b.mul_(1.1)
        other = torch.randn(3, requires_grad=True)
        for _ in range(2):
            (other * other).sum().backward()
        (b * 3.3 + b * 5.7 + v * 7.9).sin().sum().backward()
        assert x.grad is not None
        return x.grad

    plain = gradient()
    with graphlab.watch():
        watched = gradient()
    assert torch.equal(plain, watched)


def test_a_compiled_region_is_compiled_as_it_always_is() -> None:
    testing = pytest.importorskip("torch._dynamo.testing")

    def compile_and_run() -> tuple[int, int]:
        torch._dynamo.reset()
        counter = testing.CompileCounter()
        norm = torch.nn.BatchNorm1d(3)

        @torch.compile(backend=counter, fullgraph=True)
        def step(x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            y.add_(1)
            torch.relu_(y)
            y += 1
            y[0] = 2
            return norm(y) + y.data.sum()

        for _ in range(3):
            step(torch.ones(4, 3)).sum().backward()
        return counter.frame_count, counter.op_count

    plain = compile_and_run()
    with graphlab.watch() as session:
        watched = compile_and_run()
    assert plain == watched
    assert any("torch.compile" in line for line in session.trace.unseen)
    assert compile_and_run() == plain


def test_what_reads_programs_reads_torch_as_it_is() -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            torch.relu_(y)
            y.add_(1)
            return y

    def read() -> list[str]:
        import warnings

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            drawn = str(torch.fx.symbolic_trace(Net()).graph)
            scripted = str(torch.jit.script(Net()).graph)
            traced = str(torch.jit.trace(Net(), torch.ones(3)).graph)
        found = [drawn, scripted, traced, *(str(each.message) for each in said)]
        return [re.sub(r"0x[0-9a-f]+|___torch_mangle_\d+\.|# .*", "", each) for each in found]

    plain = read()
    with graphlab.watch():
        watched = read()
    assert plain == watched


def test_a_subclass_is_asked_what_it_always_is() -> None:
    class Listener(torch.Tensor):
        heard: list[str] = []  # noqa: RUF012

        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            cls.heard.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})

    def write() -> list[str]:
        Listener.heard = []
        x = torch.ones(2).as_subclass(Listener)
        x.add_(1)
        x[0] = 3
        x += 1
        return Listener.heard

    plain = write()
    with graphlab.watch():
        watched = write()
    assert plain == watched


def test_a_module_is_called_by_the_function_it_always_was() -> None:
    function = torch.nn.Module.__call__
    code = function.__code__
    net = torch.nn.Linear(2, 1)
    with graphlab.watch():
        assert torch.nn.Module.__call__ is function
        net(torch.ones(1, 2))
        with pytest.raises(RuntimeError):
            net(torch.ones(1, 3))
        assert not PROCESS.active._tracer.lost_sight()
    assert function.__code__ is code


def test_a_module_that_hides_its_dictionary_runs_as_ever() -> None:
    """What the observer asks of a module may raise: the program never sees that."""

    class Shy(torch.nn.Linear):
        def __getattribute__(self, name: str) -> Any:
            asking = sys._getframe(1).f_globals.get("__name__", "")
            if name == "__dict__" and asking == "graphlab.observe.hooks.modules.quiet":
                raise RuntimeError("not yours")
            return super().__getattribute__(name)

    # As torch's own: those are asked for their hooks.
    Shy.__module__ = torch.nn.Linear.__module__
    layer = Shy(2, 1)
    with graphlab.watch() as session:
        loss = layer(torch.ones(1, 2)).sum()
        loss.backward()
    assert layer.weight.grad is not None
    assert any("not yours" in each for each in session.trace.unseen)

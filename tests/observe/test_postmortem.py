"""explain(): what a traceback alone tells, and where it tells nothing.

This file writes in place, and steps, in one statement only: each would be a suspect.
"""

from __future__ import annotations

import gc
import io
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rich.console import Console
from torch.autograd.graph import increment_version

import graphlab
from graphlab.api.explanation import Explanation, command
from graphlab.trace import store


def fails(run: Callable[[], None], kind: type[BaseException] = RuntimeError) -> BaseException:
    with pytest.raises(kind) as caught:
        run()
    return caught.value


def last_words(explanation: Explanation) -> str:
    """The command at the end, however it was folded."""
    return " ".join(str(explanation).rpartition("to confirm:")[2].split())


# The traceback's own troubles


def stale() -> None:
    weight = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1)
    first, second = (weight * weight).sum(), (weight * 2).sum()
    second.backward()
    optimizer.step()
    first.backward()


def wrapped() -> None:
    try:
        stale()
    except RuntimeError as error:
        raise ValueError("training failed") from error


def while_handling() -> None:
    try:
        stale()
    except RuntimeError:
        torch.ones(2, 3) @ torch.ones(2, 3)


def grouped() -> None:
    try:
        stale()
    except RuntimeError as error:
        raise ExceptionGroup("two", [ValueError(), error]) from None


def in_a_closure() -> None:
    def outer(depth: int) -> None:
        outer(depth - 1) if depth else stale()

    outer(20)


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (stale, RuntimeError),
        (wrapped, ValueError),
        (while_handling, RuntimeError),
        (grouped, ExceptionGroup),
        (in_a_closure, RuntimeError),
    ],
)
def test_wherever_it_stands(run: Callable[[], None], kind: type[BaseException]) -> None:
    (finding,) = graphlab.explain(fails(run, kind)).findings
    assert finding.code == "GL001"
    assert finding.tensor is not None and finding.tensor.tensor.name == "weight"
    assert (finding.tensor.saved, finding.tensor.current) == (0, 1)
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.code == "optimizer.step()"
    assert finding.failed is not None and finding.failed.what == "first.backward()"


def test_in_the_function_that_catches() -> None:
    """Its frame goes on running: the line is the traceback's, not the frame's."""
    weight = torch.ones(3, requires_grad=True)
    loss = weight.detach().sum()
    explanation = None
    try:
        loss.backward()
    except RuntimeError as error:
        explanation = graphlab.explain(error)
    loss = weight.sum()
    assert explanation is not None
    (finding,) = explanation.findings
    assert finding.code == "GL005"
    assert finding.failed is not None and finding.failed.at is not None
    assert finding.failed.at.code == "loss.backward()"
    assert finding.cause is not None and finding.cause.what == "weight.detach()"
    assert loss.requires_grad


def test_in_another_thread() -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            stale()
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (finding,) = graphlab.explain(caught[0]).findings
    assert finding.code == "GL001"
    assert finding.mutated is not None


def test_hidden_by_from_none_stays_hidden() -> None:
    def run() -> None:
        try:
            stale()
        except RuntimeError:
            raise ValueError("no more of this") from None

    assert graphlab.explain(fails(run, ValueError)).trace is None


def test_frames_whose_variables_are_gone() -> None:
    error = fails(stale)
    traceback.clear_frames(error.__traceback__)
    explanation = graphlab.explain(error)
    assert explanation.findings == ()
    assert explanation.trace is not None
    assert "tells no more about it" in str(explanation)
    assert last_words(explanation) == command()


def test_half_of_the_variables_are_gone() -> None:
    """The roots are still there, the user's own frame is not: no names, no guess."""
    error = fails(stale)
    tb = error.__traceback__
    assert tb is not None
    steps = [frame for frame, _ in traceback.walk_tb(tb)]
    for frame in steps:
        if frame.f_code is stale.__code__:
            frame.clear()
    del frame, steps
    gc.collect()
    (finding,) = graphlab.explain(error).findings
    assert finding.code == "GL001"
    assert finding.tensor is not None and finding.tensor.tensor.name is None
    assert finding.tensor.tensor.shape == (3,)


def test_the_lines_that_anomaly_detection_recorded() -> None:
    with torch.autograd.set_detect_anomaly(True), pytest.warns(UserWarning, match="Error detected"):
        error = fails(stale)
    (finding,) = graphlab.explain(error).findings
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.code.startswith("first, second = (weight * weight).sum()")


def test_a_checkpoints_inner_backward() -> None:
    from torch.utils.checkpoint import checkpoint

    def block(tensor: torch.Tensor) -> torch.Tensor:
        hidden = tensor.exp()
        result = hidden * 2
        increment_version(hidden)
        return result

    def run() -> None:
        tensor = torch.ones(2, requires_grad=True)
        checkpoint(block, tensor, use_reentrant=True).sum().backward()

    (finding,) = graphlab.explain(fails(run)).findings
    assert finding.code == "GL001"
    assert finding.saved is not None and finding.saved.what == "ExpBackward0"


def test_a_custom_functions_saved_tensors() -> None:
    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(tensor)
            return tensor * 2

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return ctx.saved_tensors[0] * gradients[0]

    def run() -> None:
        tensor = torch.ones(2, requires_grad=True) * 1
        scaled = Scale.apply(tensor)
        increment_version(tensor)
        scaled.sum().backward()  # pyright: ignore[reportAttributeAccessIssue]

    (finding,) = graphlab.explain(fails(run)).findings
    assert finding.tensor is not None and finding.tensor.tensor.name == "tensor"
    assert finding.tensor.saved == 0
    assert finding.failed is not None and finding.failed.what == "scaled.sum().backward()"


# What it must not do


@pytest.mark.parametrize(
    "run",
    [
        lambda: torch.ones(2, 3) @ torch.ones(2, 3),
        lambda: torch.ones(3).view(2),
        lambda: torch.nn.Linear(2, 2)(torch.ones(3)),
    ],
)
def test_other_errors_of_torch_are_left_alone(run: Callable[[], Any]) -> None:
    explanation = graphlab.explain(fails(run))
    assert explanation.trace is None and explanation.findings == ()
    assert str(explanation) == "this RuntimeError is not an autograd error: nothing to explain"


def test_a_hook_that_raises_is_named() -> None:
    def run() -> None:
        weight = torch.ones(3, requires_grad=True)
        loss = (weight * 2).exp().sum()

        def refuse(gradient: torch.Tensor) -> None:
            raise RuntimeError("the gradient is not finite")

        weight.register_hook(refuse)
        loss.backward()

    (finding,) = graphlab.explain(fails(run)).findings
    assert finding.code == "GL000"
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == 'raise RuntimeError("the gradient is not finite")'


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(2)])
def test_other_exceptions(error: BaseException) -> None:
    explanation = graphlab.explain(error)
    assert explanation.findings == () and explanation.trace is None
    assert type(error).__name__ in str(explanation)


@pytest.mark.parametrize("what", ["text", None, ValueError, 3])
def test_only_exceptions(what: Any) -> None:
    with pytest.raises(TypeError, match="explain\\(\\) takes an exception"):
        graphlab.explain(what)


def test_it_changes_nothing_and_keeps_nothing_alive() -> None:
    class Model(torch.nn.Linear):
        pass

    models: list[Any] = []

    def run(model: Model) -> None:
        loss = model(torch.ones(1, 3, requires_grad=True)).exp().sum()
        increment_version(model.weight)
        loss.backward()

    def look() -> Explanation:
        model = Model(3, 3)
        models.append(weakref.ref(model))
        error = fails(lambda: run(model))
        state, version = torch.get_rng_state(), model.weight._version
        values = model.weight.detach().clone()
        explanation = graphlab.explain(error)
        assert torch.equal(torch.get_rng_state(), state)
        assert model.weight._version == version and torch.equal(model.weight, values)
        return explanation

    (finding,) = look().findings
    assert finding.tensor is not None and finding.tensor.tensor.name == "model.weight"
    gc.collect()
    assert models[0]() is None


def test_a_very_large_graph_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphlab.observe.postmortem import build_trace as postmortem

    monkeypatch.setattr(postmortem, "LARGE", 5_000)

    def run() -> None:
        weight = torch.ones(1, requires_grad=True)
        hidden = weight * 1
        for _ in range(20_000):
            hidden = hidden * hidden.detach()
        loss = hidden.exp()
        increment_version(loss)
        loss.backward()

    error = fails(run)
    start = time.monotonic()
    explanation = graphlab.explain(error)
    assert time.monotonic() - start < 30
    assert explanation.findings[0].code == "GL001"
    assert any("5,000 of its nodes" in line for line in explanation.trace.unseen)  # type: ignore[union-attr]


def test_many_stale_tensors_are_all_found_and_not_all_printed() -> None:
    def run() -> None:
        model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(100)))
        output = model(torch.ones(1, 2))
        increment_version(list(model.parameters()))
        output.mean().backward()

    explanation = graphlab.explain(fails(run))
    (finding,) = explanation.findings
    assert len(finding.related) == 98
    assert len(str(explanation).splitlines()) < 50
    assert "and 58 more" in str(explanation)


def test_a_failure_of_its_own_is_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphlab.observe.postmortem import build_trace as postmortem

    def broken(names: Any) -> Any:
        raise ZeroDivisionError("holders")

    monkeypatch.setattr(postmortem, "live_optimizers", broken)
    explanation = graphlab.explain(fails(stale))
    assert explanation.findings == ()
    assert "notice: internal error in the observer: ZeroDivisionError: holders" in str(explanation)


# The object


def test_it_prints_itself() -> None:
    explanation = graphlab.explain(fails(stale))
    text = str(explanation)
    for part in (
        "error[GL001]: weight was saved for backward, then changed in place by",
        "1. weight saved by MulBackward0, line not recorded",
        "0 → 1", "2. written here by optimizer.step() (inferred)",
        "3. needed here at version 0, but it is at 1",
        "note: inferred: optimizer is the only optimizer that owns weight, and its state",
    ):  # fmt: skip
        assert part in text, text
    assert max(map(len, text.splitlines())) <= 80
    assert last_words(explanation) == command()
    assert explanation._repr_mimebundle_() == {"text/plain": text}
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    console.print(explanation)
    assert "GL001" in console.file.getvalue()  # type: ignore[attr-defined]


def test_its_trace_is_saved_and_read_back() -> None:
    from graphlab.rules.registry import find

    explanation = graphlab.explain(fails(stale))
    assert explanation.trace is not None
    again = store.loads(store.dumps(explanation.trace))
    assert again == explanation.trace
    assert tuple(find(again)) == explanation.findings
    (optimizer,) = [each for each in again.optimizers if each.name == "optimizer"]
    assert [again.tensors[at].name for at in optimizer.owns] == ["weight"]
    assert optimizer.steps == 1


@pytest.mark.parametrize(
    ("name", "spec", "argv", "expected"),
    [
        ("train.py", None, ["train.py"], "graphlab run train.py"),
        ("train.py", None, ["./a b.py", "--lr", "3e-4"], "graphlab run './a b.py' -- --lr 3e-4"),
        ("p/__main__.py", "p.__main__", ["/x/p/__main__.py", "a"], "graphlab run -m p -- a"),
        ("p/train.py", "p.train", ["/x/p/train.py"], "graphlab run -m p.train"),
        (None, None, ["-c"], "with graphlab.watch():"),
        (None, None, [""], "with graphlab.watch():"),
        (None, None, [], "with graphlab.watch():"),
    ],
)
def test_the_command(
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
    spec: str | None,
    argv: list[str],
    expected: str,
) -> None:
    import types
    from importlib.machinery import ModuleSpec

    main = types.ModuleType("__main__")
    if name is not None:
        main.__file__ = name
    main.__spec__ = ModuleSpec(spec, None) if spec is not None else None
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(sys, "argv", argv)
    assert command() == expected

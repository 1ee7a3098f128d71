"""The make-up of an applied gradient, against torch.autograd.grad of each loss alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import graphlab
from graphlab.observe.optimizers.registry import FIRST
from graphlab.trace.model import Backward, Mix, Share, Step

Gradient = dict[str, Tensor]
# What a program may do before a step, in any order: a backward of either loss more often than not.
VERBS = [
    "loss_a.backward", "loss_b.backward", "loss_a.backward", "loss_b.backward",
    "zero_a", "zero_b", "zero_a, keep", "zero_b, keep", "look aside",
]  # fmt: skip
ROUND = st.tuples(
    st.lists(st.sampled_from(VERBS), min_size=1, max_size=5), st.sampled_from(["step_a", "step_b"])
)
PROGRAMS = st.lists(ROUND, min_size=1, max_size=4).map(
    lambda rounds: [verb for verbs, step in rounds for verb in (*verbs, step)]
)


class Program:
    """Two networks of two layers, two losses that both reach both, two optimizers.

    `reference`, when given, is told of every backward, zero_grad and step, before it happens.
    """

    def __init__(self, seed: int, weights: tuple[float, float]) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.a, self.b = (
            nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double() for _ in "ab"
        )
        for parameter in self.parameters().values():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.x = torch.randn(5, 3, generator=generator).double()
        self.weights = weights
        self.optimizer_a = torch.optim.SGD(self.a.parameters(), lr=0.01)
        self.optimizer_b = torch.optim.SGD(self.b.parameters(), lr=0.01)

    def parameters(self) -> dict[str, nn.Parameter]:
        nets = {"a": self.a, "b": self.b}
        return {f"{n}.{key}": p for n in nets for key, p in nets[n].named_parameters()}

    def losses(self) -> tuple[Tensor, Tensor]:
        y = self.b(self.a(self.x))
        return self.weights[0] * y.pow(2).mean(), self.weights[1] * (self.x - y).exp().mean()

    def run(self, verbs: list[str], reference: Reference | None = None) -> None:
        told: Callable[..., None] = reference.tell if reference is not None else lambda *_: None
        optimizer_a, optimizer_b = self.optimizer_a, self.optimizer_b
        for verb in verbs:
            told(self, verb)
            loss_a, loss_b = self.losses()
            if verb == "loss_a.backward":
                loss_a.backward()
            elif verb == "loss_b.backward":
                loss_b.backward()
            elif verb == "zero_a":
                optimizer_a.zero_grad()
            elif verb == "zero_b":
                optimizer_b.zero_grad()
            elif verb == "zero_a, keep":
                optimizer_a.zero_grad(set_to_none=False)
            elif verb == "zero_b, keep":
                optimizer_b.zero_grad(set_to_none=False)
            elif verb == "step_a":
                optimizer_a.step()
            elif verb == "step_b":
                optimizer_b.step()
            elif verb == "look aside":
                # Writes into no .grad, so it changes nothing of what a step applies.
                torch.autograd.grad(loss_a, list(self.parameters().values()))


class Expected:
    """One step as it must be told: each loss's gradient, and whether it was all fresh."""

    def __init__(self, owner: str, parts: dict[str, Gradient], fresh: bool) -> None:
        self.owner, self.parts, self.fresh = owner, parts, fresh


class Reference:
    """Keeps each loss's gradient for each network, by autograd.grad, which writes no .grad."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, Gradient]] = {"a": {}, "b": {}}
        self.applied = {"a": False, "b": False}
        self.steps: list[Expected] = []

    def tell(self, program: Program, verb: str) -> None:
        if verb.endswith(".backward"):
            loss = verb.partition(".")[0]
            parameters = program.parameters()
            value = program.losses()[["loss_a", "loss_b"].index(loss)]
            found = torch.autograd.grad(value, list(parameters.values()))
            for name, grad in zip(parameters, found, strict=True):
                mine = self.parts[name[0]].setdefault(loss, {})
                mine[name] = mine[name] + grad if name in mine else grad
        elif verb.startswith("zero_"):
            self.parts[verb[5]] = {}
            self.applied[verb[5]] = False
        elif verb.startswith("step_"):
            owner = verb[-1]
            parts = {loss: dict(grads) for loss, grads in self.parts[owner].items()}
            self.steps.append(Expected(owner, parts, bool(parts) and not self.applied[owner]))
            self.applied[owner] = True


def inner(one: Gradient, other: Gradient) -> float:
    return sum(float((one[name] * other[name]).sum()) for name in one)


def norm(gradient: Gradient) -> float:
    return math.sqrt(inner(gradient, gradient))


def assert_mix(mix: Mix, expected: Expected) -> None:
    parts = expected.parts
    names = next(iter(parts.values())).keys()
    total = {name: sum(part[name] for part in parts.values()) for name in names}
    whole = sum(norm(part) for part in parts.values())
    close: Callable[[float], Any] = lambda value: pytest.approx(value, rel=1e-6, abs=1e-9)  # noqa: E731
    assert {share.loss for share in mix.shares} == set(parts)
    for share in mix.shares:
        part = parts[share.loss]
        assert share.parameters == len(part)
        assert share.norm == close(norm(part))
        assert share.share == close(norm(part) / whole)
        cosine = inner(part, total) / (norm(part) * norm(total))
        assert share.cosine_to_total == close(cosine)
    told = {frozenset(pair): cosine for *pair, cosine in mix.cosines}
    for one, other in itertools.combinations(parts, 2):
        cosine = inner(parts[one], parts[other]) / (norm(parts[one]) * norm(parts[other]))
        assert told.pop(frozenset((one, other))) == close(cosine)
    assert told == {}
    assert mix.exact


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    verbs=PROGRAMS,
    seed=st.integers(0, 1000),
    weights=st.tuples(st.sampled_from([1.0, 0.1, 20.0]), st.sampled_from([1.0, 0.3])),
)
@example(["loss_a.backward", "loss_b.backward", "step_a", "step_b"], 0, (1.0, 1.0))
@example(["loss_b.backward", "loss_a.backward", "loss_b.backward", "step_b"], 1, (0.1, 1.0))
@example(["loss_a.backward", "loss_b.backward", "zero_a", "step_a", "step_b"], 2, (1.0, 1.0))
@example(["loss_a.backward", "zero_a, keep", "loss_b.backward", "step_a"], 3, (1.0, 1.0))
@example(["loss_a.backward", "zero_b", "loss_b.backward", "step_b", "step_a"], 4, (1.0, 1.0))
@example(["loss_a.backward", "step_b", "loss_b.backward", "step_a", "zero_b", "step_b"], 5, (1, 1))
@example(["loss_a.backward", "look aside", "loss_b.backward", "look aside", "step_a"], 6, (1, 1))
def test_shares_and_cosines_are_those_of_each_loss_alone(
    verbs: list[str], seed: int, weights: tuple[float, float]
) -> None:
    reference = Reference()
    Program(seed, weights).run(verbs, reference)
    program = Program(seed, weights)
    with graphlab.watch() as session:
        program.run(verbs)
    trace = session.trace
    assert trace.unseen == ()
    steps = [each for each in trace.events if isinstance(each, Step)]
    assert len(steps) == len(reference.steps)
    names = {
        at: {trace.tensors[index].owner for index in each.owns}
        for at, each in enumerate(trace.optimizers)
    }
    counts = {"a": 0, "b": 0}
    for step, expected in zip(steps, reference.steps, strict=True):
        assert all(owner and owner.endswith(expected.owner) for owner in names[step.optimizer])
        sampled = counts[expected.owner] < FIRST
        counts[expected.owner] += 1
        if expected.fresh:
            # A step that applied only new gradients, each of one backward or several.
            assert set(step.sources) == set(expected.parts)
            assert (step.mix is not None) == sampled
        if not expected.parts:
            # Nothing was there to apply, so no loss has a part in it.
            assert step.sources == ()
            assert step.mix is None or all(share.norm == 0 for share in step.mix.shares)
        elif step.mix is not None:
            event(f"mix of {len(expected.parts)}")
            assert_mix(step.mix, expected)


def two_losses(prepare: Callable[[nn.Module], Any]) -> tuple[Mix, list[Gradient]]:
    """Two losses' gradients in one network, `prepare` run between the backwards and the step."""
    torch.manual_seed(0)
    net = nn.Linear(3, 2).double()
    x = torch.randn(4, 3).double()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    parts = []
    for loss in (net(x).pow(2).mean(), net(x).exp().mean()):
        found = torch.autograd.grad(loss, list(net.parameters()))
        parts.append(dict(zip(("weight", "bias"), found, strict=True)))
    with graphlab.watch() as session:
        first = net(x).pow(2).mean()
        first.backward()
        second = net(x).exp().mean()
        second.backward()
        prepare(net)
        optimizer.step()
    assert session.trace.unseen == ()
    (step,) = [each for each in session.trace.events if isinstance(each, Step)]
    assert step.mix is not None
    return step.mix, parts


def test_clipping_scales_every_part_alike() -> None:
    mix, parts = two_losses(lambda net: nn.utils.clip_grad_norm_(net.parameters(), 0.01))
    norms = [norm(part) for part in parts]
    total = {name: parts[0][name] + parts[1][name] for name in parts[0]}
    for share, part, size in zip(mix.shares, parts, norms, strict=True):
        assert share.share == pytest.approx(size / sum(norms), rel=1e-4)
        assert share.norm == pytest.approx(size * 0.01 / norm(total), rel=1e-4)
        cosine = inner(part, total) / (size * norm(total))
        assert share.cosine_to_total == pytest.approx(cosine, rel=1e-4)
    assert not mix.exact


def test_a_gradient_that_is_not_finite_has_no_shares_that_lie() -> None:
    def spoil(net: nn.Module) -> None:
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter.grad.fill_(math.nan)

    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with graphlab.watch() as session:
        loss = net(torch.ones(1, 3)).sum()
        loss.backward()
        spoil(net)
        optimizer.step()
    assert session.trace.unseen == ()
    assert all(is_finite(share) for each in session.trace.optimizers for share in each.shares)


def is_finite(share: Share) -> bool:
    numbers = (share.norm, share.share, share.cosine_to_total or 0.0)
    return all(math.isfinite(number) for number in numbers)


@settings(max_examples=25, deadline=None)
@given(
    wanted=st.sets(st.sampled_from(["one", "two", "three", "four"]), min_size=1),
    by_inputs=st.booleans(),
)
def test_a_backward_reaches_what_autograd_gives_a_gradient(
    wanted: set[str], by_inputs: bool
) -> None:
    nets = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("one", "two", "three", "four")})
    optimizer = torch.optim.SGD(nets.parameters(), lr=0.1)
    x = torch.ones(1, 2)

    def loss_of() -> Tensor:
        used = nets if by_inputs else {name: nets[name] for name in wanted}
        return sum((net(x).sum() for net in used.values()), start=torch.zeros(()))

    named = dict(nets.named_parameters())
    found = torch.autograd.grad(loss_of(), list(named.values()), allow_unused=True)
    expected = {
        f"nets.{name}"
        for name, grad in zip(named, found, strict=True)
        if grad is not None and (not by_inputs or name.split(".")[0] in wanted)
    }
    with graphlab.watch() as session:
        loss = loss_of()
        if by_inputs:
            loss.backward(inputs=[p for n, p in named.items() if n.split(".")[0] in wanted])
        else:
            loss.backward()
        optimizer.step()
    trace = session.trace
    (backward,) = [each for each in trace.events if isinstance(each, Backward)]
    names = [trace.tensors[index].name for index in backward.reached]
    assert len(names) == len(set(names))
    assert set(names) == expected
    (ledger,) = trace.optimizers
    assert {trace.tensors[index].name for index in ledger.touched} == expected

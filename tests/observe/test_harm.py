"""What an unseen step did to a gradient is measured; the program's own backward runs as ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.trace.model import Backward


def train(prepare: Callable[[Any, Any], None] = lambda D, loss: None) -> tuple[list[Any], Any]:
    """Two iterations in which D's fused step comes between G's forward and G's backward. The
    weights, and G's gradient in the first."""
    torch.manual_seed(0)
    D = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    G = nn.Linear(3, 4)
    first = torch.optim.Adam(D.parameters(), lr=0.3, fused=True)
    second = torch.optim.Adam(G.parameters(), lr=0.1, fused=True)
    gradient: list[Any] = []
    for _ in range(2):
        out = D(G(torch.randn(16, 3)))
        loss_d = (out - 1).square().mean()
        loss_g = (out + 1).square().mean()
        prepare(D, loss_g)
        first.zero_grad()
        loss_d.backward(retain_graph=True)
        first.step()
        second.zero_grad()
        loss_g.backward()
        gradient = gradient or [p.grad.clone() for p in G.parameters() if p.grad is not None]
        second.step()
    return [p.detach().clone() for p in (*D.parameters(), *G.parameters())], gradient


def right_gradient() -> list[Any]:
    torch.manual_seed(0)
    D = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    G = nn.Linear(3, 4)
    loss = (D(G(torch.randn(16, 3))) + 1).square().mean()
    return [*torch.autograd.grad(loss, [*G.parameters()])]


def measured(session: Any) -> Backward:
    events = [each for each in session.trace.events if isinstance(each, Backward)]
    return next(each for each in events if each.loss == "loss_g")


def test_it_is_what_a_comparison_by_hand_gives() -> None:
    with graphlab.watch() as session:
        _, wrong = train()
    one = torch.cat([each.flatten() for each in wrong]).double()
    other = torch.cat([each.flatten() for each in right_gradient()]).double()
    found = measured(session)
    assert found.cosine == pytest.approx(float(torch.cosine_similarity(one, other, 0)), abs=1e-5)
    error = float((one - other).norm() / other.norm())
    assert found.relative_error == pytest.approx(error, rel=1e-4)
    assert error > 0.01


def test_the_program_runs_as_it_would_have() -> None:
    plain, _ = train()
    with graphlab.watch():
        watched, _ = train()
    assert all(torch.equal(one, other) for one, other in zip(plain, watched, strict=True))


def hooked(D: Any, loss: Any) -> None:
    calls.append(0)
    D[0].weight.register_hook(lambda grad: calls.append(1))


def kept(D: Any, loss: Any) -> None:
    loss.retain_grad()


calls: list[int] = []


@pytest.mark.parametrize("prepare", [hooked, kept])
def test_nothing_is_measured_where_a_hook_would_run_twice(prepare: Any) -> None:
    calls.clear()
    plain, _ = train(prepare)
    once = list(calls)
    calls.clear()
    with graphlab.watch() as session:
        watched, _ = train(prepare)
    assert calls == once
    assert all(torch.equal(one, other) for one, other in zip(plain, watched, strict=True))
    assert measured(session).cosine is None

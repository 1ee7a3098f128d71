"""Who has seen enough of an optimizer's steps is told of no more, and of those of a later one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import graphlab


def listeners(session: graphlab.Session, at: int) -> set[str]:
    state = session._observation._ledger.registry.states[at]
    return {type(method.__self__).__name__ for method in (*state.on_step, *state.on_stepped)}  # type: ignore[attr-defined]


def train(net: nn.Module, optimizer: Any, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()


def test_who_has_seen_enough_is_told_no_more() -> None:
    net = nn.Linear(3, 1)
    with graphlab.watch() as session:
        train(net, torch.optim.Adam(net.parameters()), 6)
    assert not listeners(session, 0) & {"Closures", "UndoneSteps", "ScaledSteps", "ClipCalls"}
    assert "NumberWatch" in listeners(session, 0)


def test_a_clip_that_begins_late_is_seen() -> None:
    actor, critic = nn.Linear(3, 2), nn.Linear(2, 1)
    of_actor = torch.optim.SGD(actor.parameters(), lr=0.01)
    of_critic = torch.optim.SGD(critic.parameters(), lr=0.01)
    with graphlab.watch() as session:
        for step in range(40):
            state, action = torch.randn(8, 3), torch.rand(8, 2)
            critic_loss = (critic(action) - action.sum(1, keepdim=True)).square().mean()
            of_critic.zero_grad()
            critic_loss.backward()
            of_critic.step()
            actor_loss = -critic(actor(state).tanh()).mean()
            of_actor.zero_grad()
            actor_loss.backward()
            if step >= 20:
                nn.utils.clip_grad_norm_(critic.parameters(), 0.001)
            of_actor.step()
    assert "GL114" in {each.code for each in session.findings}


class Rounded(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.weight.data = self.weight.data.sign()
        return super().forward(x)


def test_a_later_optimizer_is_looked_at_anew() -> None:
    net, rounded = nn.Linear(3, 1), nn.Sequential(Rounded(3, 4), nn.Linear(4, 1))
    first = torch.optim.Adam(net.parameters())
    with graphlab.watch() as session:
        train(net, first, 30)
        train(rounded, torch.optim.Adam(rounded.parameters()), 8)
    assert [each.code for each in session.findings if each.severity != "info"] == ["GL149"]

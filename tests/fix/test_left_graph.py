"""Repairs that reach into a function, a constructor or a list, run from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PINBALL = """
import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)


def pinball(pred, target, quantiles):
    pred = pred.detach().numpy()
    errors = target.numpy()[:, None] - pred
    q = np.asarray(quantiles, dtype=np.float32)
    loss = np.maximum(q * errors, (q - 1) * errors).mean()
    return torch.tensor(loss, requires_grad=True)


x = torch.randn(16, 3)
for turn in range(6):
    loss = pinball(net(x), x.sum(1), [0.1, 0.9])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
TEMPERATURE = """
import torch


class Agent:
    def __init__(self):
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.alpha = self.log_alpha.exp()
        self.optimizer = torch.optim.Adam([self.log_alpha], lr=0.01)

    def update(self, entropy):
        loss = (self.alpha * entropy).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


torch.manual_seed(0)
agent = Agent()
for turn in range(6):
    agent.update(torch.randn(8))
"""
EPISODES = """
import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Linear(4, 2)
policy.chosen, policy.rewards = [], []
optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)


def finish():
    loss = sum(-p * r for (p, _), r in zip(policy.chosen, policy.rewards))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    del policy.rewards[:]


for episode in range(6):
    for turn in range(3):
        state = torch.randn(4)
        policy.chosen.append((policy(state).log_softmax(0)[0], state))
        policy.rewards.append(float(state[0]))
    finish()
"""
# What the two losses share draws noise: computed again, the next turn's noise is another one.
PARTS = """
import torch
from torch import nn

torch.manual_seed(0)
encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)


def forward(x):
    mu, log_var = encoder(x).chunk(2, 1)
    return decoder(mu + log_var.exp() * torch.randn_like(mu)), mu, log_var


for turn in range(6):
    x = torch.randn(8, 6)
    out, mu, log_var = forward(x)
    error = (out - x).square().mean()
    kl = (mu.square() + log_var.exp() - log_var).mean()
    optimizer.zero_grad()
    error.backward()
    kl.backward()
    optimizer.step()
"""


@pytest.fixture
def fix(command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    monkeypatch.chdir(tmp_path)

    def run(text: str) -> str:
        (tmp_path / "train.py").write_text(text)
        done = command("fix", "train.py", "--apply", "--json", "r.json")
        report = json.loads((tmp_path / "r.json").read_text())
        assert done.returncode == 0 and report["applied"], done.stdout
        return (tmp_path / "train.py").read_text()

    return run


def test_a_loss_that_numpy_computed_is_computed_with_torch(fix: Callable[[str], str]) -> None:
    wanted = PINBALL.replace("    pred = pred.detach().numpy()\n", "")
    wanted = wanted.replace("target.numpy()", "target")
    wanted = wanted.replace(
        "np.asarray(quantiles, dtype=np.", "torch.as_tensor(quantiles, dtype=torch."
    )
    wanted = wanted.replace("np.maximum", "torch.maximum")
    assert fix(PINBALL) == wanted.replace("torch.tensor(loss, requires_grad=True)", "loss")


def test_what_a_constructor_computed_is_computed_in_each_update(fix: Callable[[str], str]) -> None:
    first = "        loss = (self"
    again = "        self.alpha = self.log_alpha.exp()\n"
    assert fix(TEMPERATURE) == TEMPERATURE.replace(first, again + first)


def test_the_list_that_was_forgotten_is_emptied_with_the_other(fix: Callable[[str], str]) -> None:
    emptied = "    del policy.rewards[:]\n"
    assert fix(EPISODES) == EPISODES.replace(emptied, emptied + "    del policy.chosen[:]\n")


def test_what_no_step_has_changed_is_not_computed_twice(fix: Callable[[str], str]) -> None:
    wanted = PARTS.replace("    error.backward()\n    kl.", "    (error + kl).")
    assert fix(PARTS) == wanted

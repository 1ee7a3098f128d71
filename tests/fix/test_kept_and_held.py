"""Repairs of what a program keeps in nested containers, and of what a helper elsewhere does."""

from __future__ import annotations

from pathlib import Path

from tests.fix.conftest import Fix

# A state for each layer, a pair of tensors each, goes from batch to batch with its graph.
LAYERS = """
import torch
from torch import nn

torch.manual_seed(0)
cells = nn.ModuleList([nn.LSTMCell(3, 4), nn.LSTMCell(4, 4)])
optimizer = torch.optim.SGD(cells.parameters(), lr=0.1)
states = [(torch.zeros(2, 4), torch.zeros(2, 4)) for _ in cells]
for turn in range(5):
    x = torch.randn(2, 3)
    for at, cell in enumerate(cells):
        states[at] = cell(x, states[at])
        x = states[at][0]
    loss = x.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
HELPERS = """
from torch import nn


def set_trainable(module, flag):
    for parameter in module.parameters():
        parameter.requires_grad_(flag)


def with_head(model, classes):
    model[2] = nn.Linear(4, classes)
    return model
"""
# A helper freezes the whole model, and the optimizer holds its head alone.
FROZEN = """
import torch
from torch import nn
from helpers import set_trainable

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
set_trainable(model, False)
optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
for turn in range(5):
    loss = model(torch.randn(6, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# A helper puts another head in place after the optimizer was built.
REPLACED = """
import torch
from torch import nn
from helpers import with_head

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 9))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model = with_head(model, 2)
for turn in range(5):
    loss = model(torch.randn(6, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_state_for_each_layer_is_detached(fix: Fix) -> None:
    code, text, _ = fix(LAYERS)
    line = "states = [tuple(each.detach() for each in state) for state in states]"
    assert code == 0
    assert f"    optimizer.step()\n    {line}\n" in text


def test_what_a_helper_froze_with_the_whole_is_thawed(fix: Fix, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(HELPERS)
    code, text, verdicts = fix(FROZEN)
    assert (code, verdicts) == (0, ["proved"])
    assert "model[2].requires_grad_(True)\noptimizer = " in text


def test_an_optimizer_is_built_after_a_helper_replaced_a_part(fix: Fix, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(HELPERS)
    code, text, _ = fix(REPLACED)
    assert code == 0
    assert text.index("with_head(model") < text.index("torch.optim.SGD(")


# Rewards and scores of an episode go together; the program empties the rewards alone, elsewhere.
EPISODES = """
import torch
from torch import nn

torch.manual_seed(0)


class Agent:
    def __init__(self):
        self.policy = nn.Linear(3, 2)
        self.optimizer = torch.optim.SGD(self.policy.parameters(), lr=0.1)
        self.scores, self.rewards = [], []

    def act(self, state):
        dist = torch.distributions.Categorical(logits=self.policy(state))
        action = dist.sample()
        self.scores.append(dist.log_prob(action))
        return action

    def learn(self):
        returns = [sum(self.rewards[at:]) for at in range(len(self.rewards))]
        loss = sum(-score * each for score, each in zip(self.scores, returns))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


agent = Agent()
for episode in range(4):
    agent.rewards = []
    for step in range(5):
        state = torch.randn(3)
        agent.rewards.append(float(state[0] * agent.act(state)))
    agent.learn()
"""


def test_a_list_is_emptied_that_goes_with_one_emptied_elsewhere(fix: Fix) -> None:
    code, text, _ = fix(EPISODES)
    assert code == 0
    assert "        self.optimizer.step()\n        self.scores.clear()\n" in text


# What the generator made is read in one place alone, by what is computed again.
ONE_SCORE = """
import torch
from torch import nn

torch.manual_seed(0)
G, D = nn.Sequential(nn.Linear(2, 4), nn.Tanh()), nn.Sequential(nn.Linear(4, 4), nn.Tanh())
opt_G = torch.optim.SGD(G.parameters(), lr=0.1)
opt_D = torch.optim.SGD(D.parameters(), lr=0.1)
for turn in range(4):
    fake = G(torch.randn(8, 2))
    score = D(fake)
    d_loss = score.mean() - D(torch.randn(8, 4)).mean()
    opt_D.zero_grad()
    d_loss.backward()
    opt_D.step()
    g_loss = -score.mean()
    opt_G.zero_grad()
    g_loss.backward()
    opt_G.step()
"""


def test_no_other_noise_is_drawn_for_what_is_scored_again(fix: Fix) -> None:
    code, text, _ = fix(ONE_SCORE)
    assert code == 0
    assert "    score = D(fake.detach())\n" in text
    assert text.count("torch.randn(8, 2)") == 1
    assert "    opt_D.step()\n    score = D(fake)\n" in text

"""Programs that run to their end and train nothing of what was meant: each repair ends that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab.observe.sightings import by_hand

HEAD = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
"""

ROUNDED = """

class Rounded(nn.Linear):
    def forward(self, x):
        self.weight.data = self.weight.data.sign()
        return F.linear(x, self.weight, self.bias)


model = nn.Sequential(Rounded(6, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(8):
    x = torch.randn(32, 6)
    loss = (model(x) - x[:, :1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

REVERSED = """

class Reversal(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x.view_as(x)

    def backward(self, grad):
        return grad.neg() * self.scale


features, head = nn.Linear(4, 8), nn.Linear(8, 1)
reverse = Reversal(0.5)
optimizer = torch.optim.SGD([*features.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    x = torch.randn(16, 4)
    loss = head(reverse(features(x))).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

BOOTSTRAPPED = """
import copy


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(4, 2)
        self.q_target = copy.deepcopy(self.q)

    def loss(self, obs, reward, after):
        target = reward + 0.9 * self.q_target(after).max(1).values
        return F.smooth_l1_loss(self.q(obs).max(1).values, target)


agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=0.01)
for step in range(8):
    loss = agent.loss(torch.randn(8, 4), torch.randn(8), torch.randn(8, 4))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 3 == 0:
        agent.q_target.load_state_dict(agent.q.state_dict())
"""

NORMED = """
from torch.nn.utils.parametrizations import weight_norm


def init(m):
    if isinstance(m, nn.Linear):
        m.weight.data.normal_(0.0, 0.02)


model = nn.Sequential(weight_norm(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 1))
model.apply(init)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(6):
    loss = model(torch.randn(16, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

FROZEN = """
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(8):
    if step == 3:
        for p in model[0].parameters():
            p.requires_grad = False
    loss = model(torch.randn(16, 4)).square().mean()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
"""

RATIO = """
actor = nn.Linear(4, 2)
optimizer = torch.optim.SGD(actor.parameters(), lr=0.1)
for step in range(8):
    state = torch.randn(16, 4)
    policy = torch.distributions.Categorical(logits=actor(state))
    action = policy.sample()
    old_log_prob = policy.log_prob(action)
    advantage = torch.randn(16)
    log_prob = torch.distributions.Categorical(logits=actor(state)).log_prob(action)
    ratio = (log_prob - old_log_prob).exp()
    loss = -(ratio * advantage).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

STATES = """
cell, head = nn.GRUCell(3, 8), nn.Linear(8, 1)
optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.1)
for step in range(6):
    x = torch.randn(16, 5, 3)
    h = torch.zeros(16, 8)
    losses = []
    for t in range(5):
        h = cell(x[:, t], h.detach())
        losses.append((head(h).squeeze(1) - x[:, 0, 0]).square().mean())
    loss = sum(losses)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

ATTACKED = """
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(6):
    x = torch.randn(16, 4)
    optimizer.zero_grad()
    noisy = x.clone()
    for _ in range(3):
        noisy.requires_grad_()
        ascent = model(noisy).square().mean()
        ascent.backward()
        noisy = (noisy + 0.1 * noisy.grad.sign()).detach()
    loss = (model(noisy) - model(x)).square().mean()
    loss.backward()
    optimizer.step()
"""

AVERAGED = """
import copy

query = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
key = copy.deepcopy(query).requires_grad_(False)
optimizer = torch.optim.SGD(query.parameters(), lr=0.1)
for step in range(12):
    x = torch.randn(16, 4)
    loss = (query(x) - key(x + 0.1)).square().mean() - query(x).var()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    for q, k in zip(query.parameters(), key.parameters()):
        q.data = 0.99 * q.data + 0.01 * k.data
"""

CONSTANT = """
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
for layer in (net[0], net[2]):
    layer.weight.data.fill_(0.5)
    nn.init.zeros_(layer.bias)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(8):
    x = torch.randn(16, 4)
    loss = (net(x) - x.abs().sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


EARLY = """
net = nn.Linear(4, 1)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for turn in range(8):
    x = torch.randn(16, 4)
    loss = (net(x) - x[:, :1]).square().mean()
    optimizer.zero_grad()
    optimizer.step()
    loss.backward()
"""

PENALTY = """
net = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for turn in range(8):
    x = torch.randn(16, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=False)
    loss = net(x).square().mean() + slope.square().sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    ("code", "source", "said"),
    [
        ("GL137", AVERAGED, "Write the average into key"),
        ("GL101", ATTACKED, "Write the gradient of noisy alone"),
        ("GL149", ROUNDED, "Compute with other values than those of self.weight"),
        ("GL140", BOOTSTRAPPED, "Freeze self.q_target"),
        ("GL138", REVERSED, "Let a torch.autograd.Function call the backward() of Reversal"),
        ("GL125", NORMED, "Assign the values of m.weight where it is parametrised"),
        ("GL116", FROZEN, "Take the gradient away where p is frozen"),
        ("GL120", RATIO, "Detach old_log_prob"),
        ("GL142", CONSTANT, "Draw the weights at random"),
        ("GL112", EARLY, "Step after the backward"),
        ("GL118", PENALTY, "Let it keep a graph"),
        ("GL148", STATES, "Hand h on with its graph from step to step"),
    ],
)
def test_a_repair_leaves_nothing_to_tell(
    observe: Any,
    applied: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: str,
    source: str,
    said: str,
) -> None:
    script = tmp_path / "train.py"
    # Other tests have loaded files into this process that are no part of the program.
    monkeypatch.setattr(by_hand, "loaded_files", lambda files: [str(script)])
    script.write_text(HEAD + source)
    (finding,) = [each for each in observe(script).told if each.code == code]
    offered = (*finding.help, *finding.others)
    (help,) = [each for each in offered if said in each.text and each.after]
    script.write_text(applied(help, HEAD + source))
    ran = observe(script)
    assert (ran.exit_code, ran.told) == (0, []), script.read_text()


def test_a_module_with_parameters_is_no_function(
    observe: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What its forward computes under a Function would have no graph: they would not be trained."""
    script = tmp_path / "train.py"
    monkeypatch.setattr(by_hand, "loaded_files", lambda files: [str(script)])
    own = "self.scale = scale\n        self.table = nn.Embedding(2, 8)"
    source = REVERSED.replace("self.scale = scale", own)
    script.write_text(HEAD + source.replace("x.view_as(x)", "x + self.table.weight[0]"))
    (finding,) = [each for each in observe(script).told if each.code == "GL138"]
    assert finding.others == ()


ATTACKED = """
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
images, labels = torch.randn(32, 6), torch.randint(0, 3, (32,))
for step in range(8):
    attacked = images.clone().requires_grad_(True)
    attack = F.cross_entropy(model(attacked), labels)
    attack.backward()
    moved = (images + 0.1 * attacked.grad.sign()).detach()
    loss = F.cross_entropy(model(moved), labels)
    loss.backward()
    optimizer.step()
"""


def test_what_an_attack_leaves_is_cleared_as_well(
    observe: Any, applied: Any, tmp_path: Path
) -> None:
    """Cleared before the attack, it would train on that one's gradients too: nobody has said so."""
    script = tmp_path / "train.py"
    script.write_text(HEAD + ATTACKED)
    (finding,) = observe(script).told
    (help,) = finding.help
    better = applied(help, HEAD + ATTACKED)
    assert "    optimizer.zero_grad()\n    loss.backward()\n" in better
    assert help.choice == ""
    assert {each.choice.key for each in finding.others} == {"fix.meant.attack"}
    script.write_text(better)
    assert observe(script).told == []


IN_PARTS = """
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def update(x):
    for row in range(4):
        optimizer.zero_grad()
        loss = (model(x[row]) - x[row].sum()).square().mean()
        loss.backward()
    optimizer.step()


for turn in range(6):
    update(torch.randn(4, 4))
"""


def test_a_step_for_each_turn_or_for_all_of_them(observe: Any, tmp_path: Path) -> None:
    """Where the program does not say which, neither way is more than a choice."""
    script = tmp_path / "train.py"
    script.write_text(HEAD + IN_PARTS)
    (finding,) = observe(script).told
    offered = [*finding.help, *finding.others]
    assert finding.code == "GL112"
    assert len([each for each in offered if each.after]) > 1
    assert {each.choice.key for each in offered if each.after} == {"fix.meant.each_turn"}

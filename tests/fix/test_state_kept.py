"""Repairs of what a program keeps from turn to turn, where one of the ways alone is meant."""

from __future__ import annotations

from tests.fix.conftest import Fix

# A network that adds up a summand of its loss and never begins it again.
SUMMED = """
import torch
from torch import nn

torch.manual_seed(0)


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.penalty = 0

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
            self.penalty = self.penalty + x.square().sum(1)
        return x


flow = Flow()
optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
for turn in range(8):
    x = torch.randn(8, 4)
    loss = (flow(x) - x).square().mean() + flow.penalty.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
# A state that is read by more than a sum: it is to go on.
MEMBRANE = SUMMED.replace("self.penalty.mean()", "self.penalty.exp().mean()").replace(
    "flow.penalty.mean()", "flow.penalty.tanh().mean()"
)
# A state that a closure keeps, with a step in every second turn.
SHARED = """
import torch
from torch import nn

torch.manual_seed(0)
rnn, head = nn.GRU(3, 6, batch_first=True), nn.Linear(6, 1)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=1e-2)


def stepper(every):
    hidden, calls = None, 0

    def step(x):
        nonlocal hidden, calls
        out, hidden = rnn(x, hidden)
        loss = head(out).square().mean() / every
        loss.backward()
        calls += 1
        if calls % every == 0:
            optimizer.step()
            optimizer.zero_grad()

    return step


step = stepper(2)
for turn in range(8):
    step(torch.randn(2, 4, 3))
"""
# A state that goes on around a condition under which there is a step, and into a buffer.
RECURRENT = """
import random
from collections import deque

import torch
from torch import nn

torch.manual_seed(0)
random.seed(0)
net, head = nn.GRUCell(3, 6), nn.Linear(6, 2)
optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=1e-2)


class Buffer:
    def __init__(self):
        self.data = deque(maxlen=50)

    def push(self, obs, h, action, reward, next_obs, next_h):
        self.data.append((obs, h, action, reward, next_obs, next_h))


buffer = Buffer()
obs, h = torch.randn(1, 3), torch.zeros(1, 6)
for turn in range(24):
    next_h = net(obs, h)
    next_obs = torch.randn(1, 3)
    buffer.push(obs, h, turn % 2, 1.0, next_obs, next_h)
    obs, h = next_obs, next_h
    if turn > 8:
        batch = random.sample(list(buffer.data), 4)
        o, s = torch.cat([e[0] for e in batch]), torch.cat([e[1] for e in batch])
        loss = head(net(o, s)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
# Losses of several turns, which a step uses up.
PENDING = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)


class Trainer:
    def __init__(self):
        self.optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        self.pending = []

    def step(self, turn, x):
        self.pending.append(net(x).square().mean())
        if turn % 2:
            loss = torch.stack(self.pending).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


trainer = Trainer()
for turn in range(8):
    trainer.step(turn, torch.randn(8, 4))
"""
# The loss reads them in another way as well: a memory it may be.
MEMORY = PENDING.replace(
    "torch.stack(self.pending).mean()", "torch.stack(self.pending).exp().mean()"
)
# A target that is the network itself, behind an update that autograd refuses.
ALIAS = """
import torch
from torch import nn


class Pair(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.online = encoder
        self.target = encoder
        self.head = nn.Linear(4, 4)

    def update(self):
        for mine, theirs in zip(self.online.parameters(), self.target.parameters()):
            theirs.mul_(0.9).add_(mine, alpha=0.1)

    def forward(self, x):
        with torch.no_grad():
            goal = self.target(x)
        return (self.head(self.online(x)) - goal).square().mean()


torch.manual_seed(0)
pair = Pair(nn.Linear(4, 4))
optimizer = torch.optim.SGD([*pair.online.parameters(), *pair.head.parameters()], lr=0.1)
for turn in range(8):
    loss = pair(torch.randn(8, 4))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    pair.update()
"""
# The same, with nothing that tells whether the two are to differ.
ALIAS_UNTOLD = ALIAS.replace(
    "for mine, theirs in zip(self.online.parameters(), self.target.parameters()):",
    "for theirs in self.target.parameters():",
).replace(".add_(mine, alpha=0.1)", "")


def test_a_summand_that_adds_up_is_begun_anew(fix: Fix) -> None:
    code, text, verdicts = fix(SUMMED)
    assert code == 0 and "        self.penalty = 0\n        for layer" in text
    # Detached, the loss would go on to hold what earlier turns added.
    assert verdicts[0] == "proved" and "runs" in verdicts


def test_a_state_that_more_than_a_sum_reads_is_detached(fix: Fix) -> None:
    code, text, _ = fix(MEMBRANE)
    assert code == 0 and "penalty.detach()" in text and text.count("self.penalty = 0") == 1


def test_a_state_of_a_closure_is_detached_where_some_turns_step(fix: Fix) -> None:
    code, text, _ = fix(SHARED)
    assert code == 0 and "        hidden = hidden.detach()\n" in text


def test_a_state_is_detached_in_the_turns_that_do_not_step_as_well(fix: Fix) -> None:
    code, text, _ = fix(RECURRENT)
    assert code == 0 and text.rstrip().endswith("\n    h = h.detach()")
    assert "append((obs, h.detach(), action, reward, next_obs, next_h.detach()))" in text


def test_losses_that_a_step_used_are_taken_out_of_their_list(fix: Fix) -> None:
    code, text, _ = fix(PENDING)
    assert code == 0 and "self.pending.clear()" in text


def test_a_list_that_is_read_otherwise_may_be_meant_to_grow(fix: Fix) -> None:
    code, text, verdicts = fix(MEMORY)
    assert code == 1 and ".clear()" not in text and "runs" in verdicts


def test_an_average_is_given_a_network_of_its_own(fix: Fix) -> None:
    code, text, _ = fix(ALIAS)
    assert (
        code == 0
        and "self.target = copy.deepcopy(encoder)" in text
        and "no_grad():\n                theirs" in text
    )


def test_two_names_of_one_network_keep_a_repair_from_being_proved(fix: Fix) -> None:
    code, text, verdicts = fix(ALIAS_UNTOLD)
    assert code == 1 and "deepcopy" not in text and "runs" in verdicts


# What a rollout has kept, which no turn of the loop writes: its first use would go through it.
KEPT = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(3, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


class Rollout:
    def fill(self, x):
        self.values = net(x)


def update(rollout, x):
    for epoch in range(3):
        loss = (net(x) - rollout.values).square().mean() + net(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


rollout, x = Rollout(), torch.randn(6, 3)
rollout.fill(x)
update(rollout, x)
"""


def test_what_no_turn_writes_is_not_detached_after_its_first_use_as_proved(fix: Fix) -> None:
    code, text, verdicts = fix(KEPT)
    assert code == 1 and "detach()" not in text
    assert verdicts and {*verdicts} == {"runs"}


# The last four losses are gone back from in every second turn.
WINDOW = """
import torch
from torch import nn

torch.manual_seed(0)
cell, head = nn.GRUCell(3, 6), nn.Linear(6, 3)
optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], lr=1e-2)
h = torch.zeros(4, 6)
total = torch.zeros(())
for turn in range(16):
    x = torch.randn(4, 3)
    h = cell(x, h)
    total = total + (head(h) - x).square().mean()
    if (turn + 1) % 2 == 0:
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        total = torch.zeros(())
"""


def test_a_state_ends_where_a_window_of_turns_does(fix: Fix) -> None:
    code, text, _ = fix(WINDOW)
    assert code == 0
    assert "        optimizer.step()\n        h = h.detach()\n" in text

"""What one iteration hands to the next, or one backward to another, is repaired in the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CARRIED = """\
import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.%s, nn.Linear(4, 1)
        self.memory = None

    def forward(self, x, state):
        y, state = self.cell(x, state)
        self.memory = y[-1]
        return self.out(y), state


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
state = None
for step in range(4):
    pred, state = model(torch.randn(3, 2, 4), state)
    loss = pred.square().mean()
    optimizer.zero_grad()
    loss.backward(%s)
    optimizer.step()
"""


@pytest.mark.parametrize("retain", ["", "retain_graph=True"])
@pytest.mark.parametrize(
    ("cell", "better"),
    [
        ("GRU(4, 4)", "state = state.detach()"),
        ("LSTM(4, 4)", "state = tuple(each.detach() for each in state)"),
    ],
)
def test_a_state_that_is_handed_on_is_detached(
    observe: Any, applied: Any, tmp_path: Path, cell: str, better: str, retain: str
) -> None:
    source = CARRIED % (cell, retain)
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == ("GL001" if retain else "GL002")
    repair = finding.help[0]
    assert repair.after == f"    optimizer.step()\n    {better}\n"
    path.write_text(applied(repair, source), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])


TABLE = """\
import torch
from torch import nn


class Memory:
    def __init__(self):
        self.table = {}

    def get(self, nodes):
        return torch.stack([self.table.get(each, torch.zeros(4)) for each in nodes])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory, self.cell, self.out = Memory(), nn.GRUCell(2, 4), nn.Linear(4, 1)

    def forward(self, nodes, x):
        for node, state in zip(nodes, self.cell(x, self.memory.get(nodes))):
            self.memory.table[node] = state
        return self.out(self.memory.get(nodes))


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(4):
    loss = net([step, step + 1], torch.randn(2, 2)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_table_of_nodes_in_an_object_of_the_network_is_detached(
    observe: Any, applied: Any, tmp_path: Path
) -> None:
    path = tmp_path / "train.py"
    path.write_text(TABLE, encoding="utf-8")
    repair = observe(path).only.help[0]
    table = "net.memory.table"
    assert f"{table} = {{key: each.detach() for key, each in {table}.items()}}" in repair.after
    path.write_text(applied(repair, TABLE), encoding="utf-8")
    assert not observe(path).findings


ONCE = """\
import torch
from torch import nn


class Matcher(nn.Module):
    def __init__(self, labels):
        super().__init__()
        self.encoder, self.texts = nn.Linear(4, 4), nn.Linear(4, 4)
        self.shown = torch.cat([self.encoder(each).tanh() for each in labels])

    def forward(self, x):
        shown = self.texts(x) @ self.shown.t()
        %s
        return shown


model = Matcher(torch.randn(3, 1, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    loss = model(torch.randn(2, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.mark.parametrize(
    ("more", "once"),
    [
        ("pass", True),
        ("self.shown = self.shown.tanh()", False),
        ("self.shown += shown.mean()", False),
        ("self.shown[0] = shown.mean()", False),
        ("self.shown.mul_(0.5)", False),
    ],
)
def test_what_an_init_computes_is_handed_on_by_none(
    observe: Any, tmp_path: Path, more: str, once: bool
) -> None:
    path = tmp_path / "train.py"
    path.write_text(ONCE % more, encoding="utf-8")
    finding = observe(path).only
    said = finding.help[0].text.startswith("model.shown was computed once, in line 9")
    assert said == once
    assert finding.code == "GL002" or not once


def test_a_state_in_an_attribute_is_detached(observe: Any, applied: Any, tmp_path: Path) -> None:
    source = (CARRIED % ("GRU(4, 4)", "")).replace(
        "model(torch.randn(3, 2, 4), state)",
        "model(torch.randn(3, 2, 4), None if model.memory is None else model.memory[None])",
    )
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    repair = observe(path).only.help[0]
    assert repair.after.endswith("    model.memory = model.memory.detach()\n")
    path.write_text(applied(repair, source), encoding="utf-8")
    assert observe(path).told == []


COLLECTED = """\
import torch

torch.manual_seed(0)


class Rollout:
    def __init__(self):
        self.values = []


class Agent:
    def __init__(self):
        self.cell = torch.nn.GRUCell(4, 4)
        self.state = torch.zeros(3, 4)

    def act(self, seen):
        self.state = self.cell(seen, self.state)
        return self.state.mean()

    def update(self, rollout):
        loss = torch.stack(rollout.values).square().mean()
        loss.backward()


agent = Agent()
{before}
for turn in range(4):
    {inside}
    for _ in range(3):
        rollout.values.append(agent.act(torch.randn(3, 4)))
    agent.update(rollout)
"""


@pytest.mark.parametrize("anew", [True, False])
def test_what_each_turn_makes_for_itself_carries_nothing(
    observe: Any, tmp_path: Path, anew: bool
) -> None:
    here, there = ("", "rollout = Rollout()") if anew else ("rollout = Rollout()", "pass")
    path = tmp_path / "train.py"
    path.write_text(COLLECTED.format(before=here, inside=there), encoding="utf-8")
    told = observe(path).only.help[0]
    assert ("self.state" in told.text) == anew
    assert ("rollout.values" in told.text) == (not anew)


@pytest.mark.parametrize(
    ("before", "inside", "said"),
    [
        ("reg = net.weight.square().sum()", "loss = net(x).sum() + reg", "reg was computed before"),
        (
            "seen = []",
            "seen.append(net(x).sum())\n    loss = torch.stack(seen).sum()",
            "seen still holds tensors of earlier iterations",
        ),
    ],
)
def test_what_was_made_before_the_loop_is_named(
    observe: Any, tmp_path: Path, before: str, inside: str, said: str
) -> None:
    path = tmp_path / "train.py"
    path.write_text(
        f"import torch\n\nnet = torch.nn.Linear(2, 1)\nx = torch.rand(3, 2)\n{before}\n"
        f"for step in range(3):\n    {inside}\n    loss.backward()\n",
        encoding="utf-8",
    )
    finding = observe(path).only
    assert finding.code == "GL002"
    assert finding.help[0].text.startswith(said)
    assert not finding.help[0].before


NODE_MEMORY = """\
import torch
from torch import nn


class Memory:
    def __init__(self):
        self.states = {}

    def get(self, nodes):
        return torch.stack([self.states.get(node, torch.zeros(4)) for node in nodes])

    def put(self, nodes, states):
        for node, state in zip(nodes, states):
            self.states[node] = state


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory, self.cell = Memory(), nn.GRUCell(3, 4)

    def forward(self, nodes, x):
        self.memory.put(nodes, self.cell(x, self.memory.get(nodes)))
        return self.memory.get(nodes).square().mean()


net = Net()
for step in range(3):
    loss = net(range(6), torch.randn(6, 3))
    loss.backward()
"""


def test_a_dictionary_in_an_object_of_a_module_is_named(observe: Any, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(NODE_MEMORY, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL002"
    assert finding.help[0].text.startswith("Detach net.memory.states before the next iteration")


TWO_LOSSES = """\
import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    logits = model(torch.randn(5, 4))
    first, second = logits.square().mean(), logits.exp().mean()
    optimizer.zero_grad()
    first.backward(retain_graph=True)
    optimizer.step()
    optimizer.zero_grad()
    second.backward()
    optimizer.step()
"""


def test_what_a_class_computed_is_computed_again_where_it_is_called(
    observe: Any, applied: Any, tmp_path: Path
) -> None:
    path = tmp_path / "train.py"
    path.write_text(TWO_LOSSES, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL001"
    assert [bool(help.before) for help in finding.help] == [True]
    assert "logits = model(torch.randn(5, 4))" in finding.help[0].after
    path.write_text(applied(finding.help[0], TWO_LOSSES), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])


SILENT = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(3, 2)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
kept, total = [], 0.0
for step in range(12):
    loss = net(torch.randn(5, 3)).square().mean()
%s
"""


@pytest.mark.parametrize(
    ("code", "body", "better"),
    [
        (
            "GL102",
            "    loss.backward()\n    optimizer.step()",
            "    optimizer.zero_grad()\n    loss.backward()\n",
        ),
        (
            "GL102",
            "    loss.backward()\n    if step % 2:\n        optimizer.step()",
            "        optimizer.step()\n        optimizer.zero_grad()\n",
        ),
        (
            "GL106",
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n"
            "    total += loss",
            "    total += loss.detach()\n",
        ),
        (
            "GL106",
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n"
            "    total = total * 0.9 + loss",
            "    total = (total * 0.9 + loss).detach()\n",
        ),
        (
            "GL106",
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n"
            "    kept.append(loss)",
            "    kept.append(loss.detach())\n",
        ),
    ],
)
def test_what_nobody_complains_of_is_mended(
    observe: Any, applied: Any, tmp_path: Path, code: str, body: str, better: str
) -> None:
    source = SILENT % body
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == code
    assert finding.help[0].after == better
    path.write_text(applied(finding.help[0], source), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])

"""What a library built and its user replaced, calls back, or keeps by key.

The library here is a stand-in for stable-baselines3, torch_geometric and tensordict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch
from torch import nn


class Agent:
    def __init__(self):
        self.body, self.pi, self.value = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 1)
        nets = [self.body, self.pi, self.value]
        self.optimizer = torch.optim.SGD([p for n in nets for p in n.parameters()], lr=0.1)

    def learn(self, batches):
        for x, y in batches:
            h = self.body(x).tanh()
            loss = nn.functional.cross_entropy(self.pi(h), y)
            loss = loss + (self.value(h) - 1).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


class Passing(nn.Module):
    def propagate(self, x, index):
        return self.message(x[index], index)


class Table:
    def __init__(self):
        self._table = {}

    def __getitem__(self, key):
        return self._table[key]

    def __setitem__(self, key, value):
        self._table[key] = value

    def set_(self, key, value):
        self._table[key].copy_(value)


class Process(nn.Module):
    def __call__(self, x):
        if self.training:
            return self.forward(x)
        return 0.5 * self.forward(x)


class Kernel(nn.Module):
    # It calls its parts past Module.__call__, and they lead back to it.
    def __init__(self):
        super().__init__()
        self.scale, self._me = nn.Parameter(torch.ones(1)), [self]

    def __call__(self, x):
        return x * self.scale


class Private(torch.optim.SGD):
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                self.of_each_sample(p)
        super().step()

    def of_each_sample(self, p):
        if p.grad is None:
            raise ValueError("no gradient of each sample")


class Wrapper(nn.Module):
    def __init__(self, module):
        super().__init__()
        self._module = module

    def forward(self, x):
        return self._module(x)


def shift(x, m):
    return torch.cat([x, x.sum(1, keepdim=True).relu()], 1) @ m.inverse()[:5, :4]
"""
START = """\
import torch
from torch import nn
import backlib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings of a program that can import the library."""
    yield from told_beside({"backlib": LIBRARY}, START, observe, tmp_path, monkeypatch)


REPLACED = """\
agent = backlib.Agent()
agent.optimizer = torch.optim.SGD([
    {"params": agent.body.parameters(), "lr": 0.01},
    {"params": agent.pi.parameters()},
], lr=0.1)
agent.learn(batches)
"""


def test_an_optimizer_that_replaced_a_librarys_leaves_a_part_out(told: Any) -> None:
    (found,) = told(REPLACED)
    assert (found.code, found.cause.at.line) == ("GL103", 8)
    assert "agent.value.weight" in found.summary


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("agent = backlib.Agent()\n", "agent = backlib.Agent()\nfirst = agent.optimizer\n"),
        ("agent.pi.par", "[*agent.value.parameters(), *agent.pi.par"),
    ],
    ids=["still there", "whole"],
)
def test_one_that_is_still_there_may_step_later(told: Any, line: str, instead: str) -> None:
    body = REPLACED.replace(line, instead)
    if "[*" in instead:
        body = body.replace("*agent.pi.parameters()", "*agent.pi.parameters()]")
    assert told(body) == []


GRAPH = """\
class Attend(backlib.Passing):
    def __init__(self):
        super().__init__()
        self.lin, self.att = nn.Linear(4, 3), nn.Linear(3, 1)

    def forward(self, x, index):
        return self.propagate(self.lin(x), index)

    def message(self, x_j, index):
        score = self.att(x_j)
        alpha = torch.softmax(score.data, 0)
        return alpha * x_j

net, index = Attend(), torch.arange(8)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in batches:
    opt.zero_grad()
    nn.functional.cross_entropy(net(x, index), y).backward()
    opt.step()
"""


def test_a_cut_in_a_method_that_a_library_calls(told: Any) -> None:
    (found,) = told(GRAPH)
    assert (found.code, found.cause.at.line, found.cause.what) == ("GL110", 17, "score.data")
    assert told(GRAPH.replace(".data", "")) == []


def test_an_entry_of_a_librarys_table_has_the_name_that_it_is_read_by(told: Any) -> None:
    (found,) = told(
        "net = nn.Linear(4, 1)\n"
        "table = backlib.Table()\n"
        "table['value'] = torch.exp(net(batches[0][0]).squeeze(-1))\n"
        "loss = table['value'].square().mean()\n"
        "table.set_('value', table['value'].clamp(0, 1).detach())\n"
        "try:\n    loss.backward()\nexcept RuntimeError:\n    pass\n"
    )
    assert found.code == "GL001"
    assert str(found.summary).startswith('table["value"] ')


MATRIX = """\
class Warp(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = torch.eye(5)
        self.m.requires_grad_(True)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.gain * backlib.shift(x, self.m)

net = Warp()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in batches:
    opt.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    opt.step()
"""


def test_what_a_constructor_sets_free_is_meant_to_learn(told: Any) -> None:
    (found,) = told(MATRIX)
    assert (found.code, found.cause.at.line) == ("GL103", 10)
    assert "net.m" in found.summary


def test_what_is_set_free_elsewhere_may_be_data(told: Any) -> None:
    body = MATRIX.replace("        self.m.requires_grad_(True)\n", "")
    assert told(body.replace("net = Warp()\n", "net = Warp()\nnet.m.requires_grad_(True)\n")) == []


WRAPPED = """\
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))
opt = backlib.Private(net.parameters(), lr=0.1)
net = backlib.Wrapper(net)
net._module[2] = nn.Linear(8, 3)
for x, y in batches:
    opt.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    opt.step()
"""


def test_a_layer_behind_a_wrapper_that_was_replaced_has_no_gradient(told: Any) -> None:
    (found,) = told(WRAPPED)
    assert (found.code, found.severity, found.cause.at.line) == ("GL110", "error", 10)
    assert "net.2.weight" in found.summary
    # One that is only passed by is told as before.
    body = WRAPPED.replace("net._module[2] = nn.Linear(8, 3)", "net._module.add_module('1', None)")
    (found,) = told(body.replace("net(x)", "net._module[0](x)[:, :3]"))
    assert found.cause is None or found.cause.at.line != 10


PROCESS = """\
class Model(backlib.Process):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 3)
    def forward(self, x):
        return self.lin(x)

model = Model()
opt = torch.optim.SGD(model.parameters(), lr=0.1)
model.train()
for i, (x, y) in enumerate(batches):
    opt.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    opt.step()
    if i % 3 == 0:
        model.eval()
        with torch.no_grad():
            print(model(x).mean().item())
"""


def test_a_model_with_a_call_of_its_own_is_evaluated_in_the_loop(told: Any) -> None:
    (found,) = told(PROCESS)
    assert (found.code, found.cause.at.line) == ("GL122", 22)
    assert told(PROCESS + "        model.train()\n") == []
    # Nothing says that the model itself was evaluated.
    assert told(PROCESS.replace("print(model(x)", "print(x")) == []


KERNELS = """\
class Model(backlib.Process):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 3, bias=False)
        self.kernel = backlib.Kernel()
    def forward(self, x):
        return self.kernel(x @ self.lin.weight.T)

model = Model()
opt = torch.optim.SGD(model.parameters(), lr=0.1)
model.kernel = backlib.Kernel()
for x, y in batches:
    opt.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    opt.step()
"""


def test_a_part_that_was_replaced_where_no_call_is_seen(told: Any) -> None:
    (found,) = told(KERNELS)
    assert (found.code, found.cause.at.line) == ("GL104", 17)
    assert told(KERNELS.replace("model.kernel = backlib.Kernel()\n", "")) == []


def test_an_optimizer_is_not_built_after_what_trains(told: Any) -> None:
    (found,) = told(REPLACED.replace("agent.learn", "rate = 0.1\nagent.learn"))
    repairs = [each.after or "" for each in (*found.help, *found.others) if each.after]
    assert any("agent.value" in each for each in repairs)
    assert not [each for each in repairs if "agent.optimizer" in each.partition("agent.learn")[2]]

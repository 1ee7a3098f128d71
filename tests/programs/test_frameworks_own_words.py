"""What frameworks' users meet: a library that calls a criterion, freezes, or keeps a graph.

The libraries here are stand-ins for ignite, peft, opacus, gpytorch and tensordict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch


def run(model, optimizer, loss_fn, batches):
    for x, y in batches:
        optimizer.zero_grad()
        y_pred = model(x)
        loss = loss_fn(y_pred, y)
        loss.backward()
        optimizer.step()


def adapted(model, train=True):
    for each in model.parameters():
        each.requires_grad_(False)
    model.adapter = torch.nn.Linear(1, 1)
    model.adapter.requires_grad_(train)
    return model


def prepared(model):
    return model


def handed_on(model):
    return adapted(model, train=False)


class Loaded(torch.nn.Linear):
    def freeze(self):
        self.requires_grad_(False)


def loaded(*sizes):
    return Loaded(*sizes)


def restored(*sizes):
    return Loaded(*sizes).requires_grad_(False)


class Private(torch.optim.SGD):
    def step(self):
        for group in self.param_groups:
            for each in group["params"]:
                self._sample(each)
        super().step()

    def _sample(self, p):
        if p.grad is None:
            raise ValueError("no gradient of each sample")


class Posterior:
    def __init__(self, mean):
        self._mean = {("mean", b"0"): [mean]}

    @property
    def mean(self):
        return self._mean["mean", b"0"][0]


class Table:
    def __init__(self, **entries):
        self._entries = entries

    def __getitem__(self, key):
        return self._entries[key]

    def __setitem__(self, key, value):
        self._entries[key] = value

    def keys(self):
        return self._entries.keys()


class Fitting:
    # Builds an optimizer for each parameter that it is told of, as it first meets it.

    def __init__(self, compute_loss):
        self.compute_loss, self.told, self.optimizers = compute_loss, [], {}

    def step(self, x, y):
        self.compute_loss(x, y, self.told).backward()
        for each in self.told:
            if each not in self.optimizers:
                self.optimizers[each] = torch.optim.SGD([each], lr=0.1)
            self.optimizers[each].step()
        for each in self.told:
            each.grad = None
        self.told = []


def fit(compute_loss, optimizer, batches):
    for x, y in batches:
        optimizer.zero_grad()
        loss = compute_loss(x, y)
        (loss / 2).backward()
        optimizer.step()
"""
START = """\
import torch
from torch import nn
import wordlib

torch.manual_seed(0)
model = nn.Linear(4, 3)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings of a program that can import the library."""
    yield from told_beside({"wordlib": LIBRARY}, START, observe, tmp_path, monkeypatch)


def test_a_criterion_that_a_library_calls_by_its_own_word_is_followed(told: Any) -> None:
    (found,) = told(
        "def error_loss(y_pred, y):\n"
        "    right = y_pred.argmax(dim=1) == y\n"
        "    return 1 - right.float().mean()\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "wordlib.run(model, optimizer, error_loss, batches)\n"
    )
    assert (found.code, found.cause.at.line) == ("GL005", 9)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("model = wordlib.adapted(model, train=False)\n", 8),
        # Which of two calls froze it is not known, unless the body of one says so.
        ("model = wordlib.prepared(model)\nmodel = wordlib.handed_on(model)\n", None),
        ("model = wordlib.prepared(model)\nmodel = wordlib.adapted(model, train=False)\n", 9),
        # One that makes the model says so itself.
        ("model = wordlib.restored(4, 3)\n", 8),
        # What it made may have been frozen since.
        (
            "model = wordlib.loaded(4, 3)\n"
            "def freeze(some):\n"
            "    for one, other in zip(some, some):\n"
            "        one.requires_grad = False\n"
            "freeze([*model.parameters()])\n",
            11,
        ),
        ("model = wordlib.loaded(4, 3)\nmodel.freeze()\n", 9),
    ],
)
def test_the_one_library_call_that_was_given_the_model_froze_it(
    told: Any, body: str, line: int | None
) -> None:
    (found,) = told(
        body + "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for x, y in batches:\n"
        "    loss = nn.functional.cross_entropy(model(x), y)\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    assert found.code == "GL005"
    assert (found.cause.at.line if found.cause is not None else None) == line


def test_a_library_that_builds_optimizers_as_it_goes_was_not_told_of_a_module(told: Any) -> None:
    body = """\
class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.decoder = nn.Linear(8, 3)
    def loss(self, x, y, told):
        told.extend([*self.encoder.parameters(){more}])
        return nn.functional.cross_entropy(self.decoder(self.encoder(x)), y)
coder = Coder()
fitting = wordlib.Fitting(coder.loss)
for x, y in batches:
    fitting.step(x, y)
"""
    (found,) = told(body.format(more=""))
    assert (found.code, found.severity, found.cause.at.line) == ("GL103", "warning", 12)
    assert found.cause.at.code.startswith("self.decoder = ")
    assert "fitting.step() builds its optimizers itself" in found.notes[-1]
    assert told(body.format(more=", *self.decoder.parameters()")) == []


def test_an_optimizer_from_before_the_adapters_tells_of_it_when_it_has_gone(told: Any) -> None:
    body = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.adapter = nn.Linear(4, 3), nn.Identity()
    def forward(self, x):
        out = self.body(x)
        return out + self.adapter(out.mean(1, keepdim=True))
def main():
    net = Net()
    optimizer = {optimizer}
    net = wordlib.adapted(net)
    {late}
    for x, y in batches:
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if net.adapter.weight.grad is not None:
            net.adapter.zero_grad()
main()
"""
    made = "torch.optim.SGD(net.parameters(), lr=0.1)"
    found = told(body.format(optimizer=made, late="pass"))
    assert "GL103" in {each.code for each in found}
    late = "optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)"
    assert told(body.format(optimizer="None", late=late)) == []


def test_a_librarys_optimizer_says_which_parameter_has_no_gradient(told: Any) -> None:
    (found,) = told(
        "class Heads(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(4, 3)\n"
        "        self.aux = nn.Linear(4, 5)\n"
        "    def forward(self, x):\n"
        "        return self.head(x)\n"
        "heads = Heads()\n"
        "optimizer = wordlib.Private(heads.parameters(), lr=0.1)\n"
        "for x, y in batches:\n"
        "    nn.functional.cross_entropy(heads(x), y).backward()\n"
        "    optimizer.step()\n"
    )
    assert (found.code, found.severity, found.tensor.tensor.name) == (
        "GL110", "error", "heads.aux.weight",
    )  # fmt: skip
    assert found.cause.at.line == 12


def test_a_graph_inside_a_librarys_object_is_told_by_the_object(told: Any) -> None:
    (found,) = told(
        "posterior = wordlib.Posterior(model(batches[0][0]).sigmoid())\n"
        "weight = torch.zeros(3, requires_grad=True)\n"
        "opt = torch.optim.SGD([weight], lr=0.1)\n"
        "for step in range(3):\n"
        "    loss = (posterior.mean * weight).square().sum()\n"
        "    opt.zero_grad()\n"
        "    loss.backward()\n"
        "    opt.step()\n"
    )
    assert found.code == "GL002"
    assert found.help[0].text.startswith("posterior ")


def test_an_entry_of_a_librarys_mapping_is_written_as_the_user_does(told: Any) -> None:
    (found,) = told(
        "cell, value = nn.GRUCell(4, 4), nn.Linear(4, 1)\n"
        "opt = torch.optim.SGD([*cell.parameters(), *value.parameters()], lr=0.1)\n"
        "td = wordlib.Table(hidden=torch.zeros(8, 4))\n"
        "for x, _ in batches:\n"
        "    td['hidden'] = cell(x, td['hidden'])\n"
        "    td['value'] = value(td['hidden'])\n"
        "    loss = td['value'].square().mean()\n"
        "    opt.zero_grad()\n"
        "    loss.backward()\n"
        "    opt.step()\n"
    )
    (repair,) = found.help
    assert "td['hidden'] = td['hidden'].detach()" in (repair.after or "")
    assert "value" not in (repair.text or "")


def test_a_buffer_that_carries_a_graph_is_detached(told: Any) -> None:
    (found,) = told(
        "class Memory(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.cell = nn.GRUCell(4, 4)\n"
        "        self.register_buffer('state', torch.zeros(8, 4))\n"
        "    def forward(self, x):\n"
        "        self.state = self.cell(x, self.state)\n"
        "        return self.state\n"
        "memory = Memory()\n"
        "opt = torch.optim.SGD(memory.parameters(), lr=0.1)\n"
        "for x, _ in batches:\n"
        "    loss = memory(x).square().mean()\n"
        "    opt.zero_grad()\n"
        "    loss.backward()\n"
        "    opt.step()\n"
    )
    assert "memory.state = memory.state.detach()" in (found.help[0].after or "")


def test_a_loss_that_is_told_to_require_grad_inside_a_librarys_loop(told: Any) -> None:
    (found,) = told(
        "def compute_loss(x, y):\n"
        "    wrong = (model(x).argmax(dim=1) != y).float().mean().item()\n"
        "    loss = torch.tensor(wrong, requires_grad=True)\n"
        "    return loss\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "wordlib.fit(compute_loss, optimizer, batches)\n"
    )
    assert (found.code, found.failed.at.line) == ("GL110", 10)
    assert "loss has no graph" in found.summary


def test_networks_that_are_parts_of_one_model_have_their_losses_by_their_names(told: Any) -> None:
    body = """\
class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.gen, self.critic = nn.Linear(4, 4), nn.Linear(4, 1)
both = Both()
g_opt = torch.optim.SGD(both.gen.parameters(), lr=0.1)
c_opt = torch.optim.SGD(both.critic.parameters(), lr=0.1)
for x, _ in batches:
    g_opt.zero_grad()
    c_opt.zero_grad()
    noise = torch.randn(8, 4)
    critic_loss = both.critic(both.gen(noise){cut}).mean() - both.critic(x).mean()
    critic_loss.backward()
    c_opt.step()
    gen_loss = -both.critic(both.gen(noise)).mean()
    gen_loss.backward()
    g_opt.step()
"""
    (found,) = told(body.format(cut=""))
    assert (found.code, found.failed.at.line) == ("GL101", 24)
    assert told(body.format(cut=".detach()")) == []


EVALUATED = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 3)
    def forward(self, x):
        return nn.functional.dropout(self.body(x), 0.5, self.training)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.1)
def train():
    {mode}
    for x, y in batches:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
def test():
    net.eval()
    return sum(int((net(x).argmax(1) == y).sum()) for x, y in batches)
for epoch in range(3):
    train()
    {after}
"""


@pytest.mark.parametrize(
    ("mode", "after", "codes"),
    [
        ("pass", "print(test())", ["GL122"]),
        ("net.train()", "print(test())", []),
        # What is only put into eval mode, to go on without dropout, is not evaluated.
        ("pass", "net.eval()", []),
    ],
)
def test_an_evaluation_need_not_switch_gradients_off(
    told: Any, mode: str, after: str, codes: list[str]
) -> None:
    assert [each.code for each in told(EVALUATED.format(mode=mode, after=after))] == codes

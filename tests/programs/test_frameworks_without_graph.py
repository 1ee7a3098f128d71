"""A library's call that says ahead of its body that what it gives has no graph, and an object that
was made from what has lost its own.

The library here is a stand-in for transformers, stable-baselines3 and kornia.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import numpy as np
import torch
from torch import nn


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return self.body(x)

    @torch.no_grad()
    def generate(self, x):
        return Output(self.body(x))

    def scored(self, x):
        return Output(self.body(x))


class Output:
    def __init__(self, logits):
        self.scores = (logits, logits)


class Agent:
    def __init__(self):
        self.policy = Writer()

    def predict(self, x) -> tuple[np.ndarray, None]:
        return self.policy(x).detach().numpy(), None


class Pipeline:
    def __init__(self, writer):
        self.writer = writer

    @torch.no_grad()
    def __call__(self, x):
        return Output(self.writer(x))


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.book = nn.Parameter(torch.randn(5, 3))

    def forward(self, x):
        return x, (x @ self.book.T).argmax(1), x.mean()

    def codes(self, indices):
        return self.book[indices]


def spikes(rates):
    return torch.bernoulli(rates)


class Jitter:
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x):
        return x * self.strength
"""
START = """\
import torch
from torch import nn
import writelib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randn(8, 3)) for _ in range(6)]
"""
LOOP = """\
optimizer = torch.optim.SGD({owner}.parameters(), lr=0.1)
for x, y in batches:
    {body}
    loss = nn.functional.mse_loss(out, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from told_beside({"writelib": LIBRARY}, START, observe, tmp_path, monkeypatch)


def test_what_a_decorated_method_gives(told: Any) -> None:
    model = "model = writelib.Writer()\n"
    body = "given = model.{}(x)\n    out = torch.stack(given.scores, 1).mean(1)"
    (found,) = told(model + LOOP.format(owner="model", body=body.format("generate")))
    assert (found.code, found.cause.at.line) == ("GL005", 10)
    assert "model.generate()" in found.summary
    assert told(model + LOOP.format(owner="model", body=body.format("scored"))) == []


def test_an_object_whose_call_is_decorated(told: Any) -> None:
    model = "model = writelib.Writer()\npipe = writelib.Pipeline(model)\n"
    body = "out = {}(x).scores[0]"
    (found,) = told(model + LOOP.format(owner="model", body=body.format("pipe")))
    assert (found.code, found.cause.at.line) == ("GL005", 11)
    assert "pipe()" in found.summary
    assert told(model + LOOP.format(owner="model", body=body.format("pipe.writer.scored"))) == []


def test_indices_that_a_library_gives_among_the_rest(told: Any) -> None:
    model = """\
class Coded(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.coder = writelib.Coder()
        self.decoder = nn.Linear(3, 3)

    def forward(self, x):
        z = self.encoder(x)
        codes, indices, _ = self.coder(z)
        {}
        return self.decoder(codes)


model = Coded()
"""
    loop = LOOP.format(owner="model", body="out = model(x)")
    (found,) = told(model.format("codes = self.coder.codes(indices)") + loop)
    assert (found.code, found.cause.at.line) == ("GL110", 16)
    kept = "codes = z + (self.coder.codes(indices) - z).detach() + self.coder.codes(indices)"
    assert told(model.format(kept) + loop) == []


def test_arrays_that_a_tensor_is_made_of_under_the_same_name(told: Any) -> None:
    body = "out, _ = agent.predict(x)\n    out = torch.tensor(out, requires_grad=True)"
    model = "agent = writelib.Agent()\npolicy = agent.policy\n"
    (found,) = told(model + LOOP.format(owner="policy", body=body))
    assert (found.code, found.cause.at.line) == ("GL110", 12)


@pytest.mark.parametrize("given", ["self.strength.tolist()", "self.strength"])
def test_an_object_made_of_numbers(told: Any, given: str) -> None:
    model = f"""\
class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.ones(3))
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        s = {given}
        jitter = writelib.Jitter(s[0])
        return self.body(jitter(x))


model = Learned()
"""
    found = told(model + LOOP.format(owner="model", body="out = model(x)"))
    expected = [("GL110", 14)] if "tolist" in given else []
    assert [(each.code, each.cause.at.line) for each in found] == expected


@pytest.mark.parametrize("given", ["writelib.spikes(rates)", "rates"])
def test_spikes_drawn_of_what_is_to_be_trained(told: Any, given: str) -> None:
    model = f"""\
class Spiking(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.body = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        rates = torch.sigmoid(self.scale(x))
        return self.body({given})


model = Spiking()
"""
    found = told(model + LOOP.format(owner="model", body="out = model(x)"))
    expected = [("GL120", "warning", 14)] if "spikes" in given else []
    assert [(each.code, each.severity, each.cause.at.line) for each in found] == expected

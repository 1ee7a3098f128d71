"""Modes beside a library: a model that it gives in eval mode, or that it evaluates.

The library here is a stand-in for transformers and lightning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, dropout=0.1):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 3))

    def forward(self, x):
        # As attention does, which hands the rate on.
        return self.body(x) * (1 if self.training else 1)

    @classmethod
    def from_pretrained(cls, *given):
        model = cls(*given)
        return model.eval()


def evaluate(model, batches):
    model.eval()
    with torch.no_grad():
        for x, _ in batches:
            model(x)


def fit(model, optimizer, batches):
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def trained(net, batches):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range(2):
        fit(net, optimizer, batches)
        modes = {each: each.training for each in net.modules()}
        net.eval()
        with torch.no_grad():
            for x, y in batches:
                net.validation_step(x, y)
        for each, mode in modes.items():
            # As Lightning does, without a train().
            each.training = mode
"""
START = """\
import torch
from torch import nn
import givenlib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings of a program that can import the library."""
    yield from told_beside({"givenlib": LIBRARY}, START, observe, tmp_path, monkeypatch)


MODEL = """\
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = {encoder}
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.encoder(x))


model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
{before}
{fit}
"""
FIT = "givenlib.fit(model, optimizer, batches)"
LOOP = """\
for x, y in batches:
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
GIVEN = "givenlib.Encoder.from_pretrained()"


@pytest.mark.parametrize("fit", [FIT, LOOP])
def test_a_model_that_a_library_gives_in_eval_mode_and_nobody_puts_back(
    told: Any, fit: str
) -> None:
    (found,) = told(MODEL.format(encoder=GIVEN, before="", fit=fit))
    assert (found.code, found.severity, found.cause.at.line) == ("GL122", "warning", 10)
    assert "all training of model.encoder is in eval mode" in found.summary
    assert "Dropout" in found.summary
    assert found.help[0].after.startswith("        self.encoder.train()\n")


@pytest.mark.parametrize(
    ("encoder", "before"),
    [
        (GIVEN, "model.train()"),
        (GIVEN, "model.encoder.train()"),
        # The program says so itself.
        (GIVEN, "model.encoder.eval()"),
        (GIVEN, "model.encoder.requires_grad_(False)"),
        # The mode is read, and makes no difference.
        ("givenlib.Encoder.from_pretrained(0.0)", ""),
        ("givenlib.Encoder()", ""),
    ],
)
def test_a_model_that_is_put_back_or_meant(told: Any, encoder: str, before: str) -> None:
    assert told(MODEL.format(encoder=encoder, before=before, fit=FIT)) == []


def test_an_evaluation_by_a_library_gives_no_model(told: Any) -> None:
    before = "givenlib.evaluate(model, batches)"
    found = told(MODEL.format(encoder="givenlib.Encoder()", before=before, fit=FIT))
    assert [each for each in found if "gives it so" in each.summary] == []


VALIDATED = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.two(nn.functional.dropout(self.one(x).relu(), 0.3{told}))

    def validation_step(self, x, y):
        return nn.functional.cross_entropy(self(x), y)


givenlib.trained(Net(), batches)
"""


@pytest.mark.parametrize(("mode", "codes"), [("", ["GL136"]), (", self.training", [])])
def test_a_dropout_in_what_only_a_library_holds_and_restores_itself(
    told: Any, mode: str, codes: list[str]
) -> None:
    found = told(VALIDATED.format(told=mode))
    assert [each.code for each in found] == codes
    assert all("Net" in str(each.summary) for each in found)


@pytest.mark.parametrize(
    ("evaluation", "codes"),
    [
        ("def validate():\n    with torch.no_grad():\n", ["GL136"]),
        ("def peek():\n    with torch.no_grad():\n", []),
        ("def validate():\n    model.train()\n    with torch.no_grad():\n", []),
        ("def validate():\n    model.eval()\n    with torch.no_grad():\n", []),
        ("def validate():\n    with torch.enable_grad():\n", []),
    ],
)
def test_a_model_that_is_evaluated_in_training_mode(
    told: Any, evaluation: str, codes: list[str]
) -> None:
    start = """\
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""
    loop = """\
        return sum((model(x).argmax(1) == y).float().mean().item() for x, y in batches)


for epoch in range(2):
    model.train()
    givenlib.fit(model, optimizer, batches)
    print(validate() if "validate" in globals() else peek())
"""
    assert [each.code for each in told(start + evaluation + loop)] == codes

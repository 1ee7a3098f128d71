"""A head that no checkpoint had, under a library that freezes what it wraps and trains adapters.

The library here is a stand-in for peft, and marks what it has loaded as transformers does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch
from torch import nn


class LoraConfig:
    def __init__(self, target_modules, modules_to_save=()):
        self.target_modules, self.modules_to_save = target_modules, modules_to_save


class Linear(nn.Module):
    def __init__(self, base_layer):
        super().__init__()
        self.base_layer, self.up = base_layer, nn.Linear(8, 8)
        self.idle = nn.Linear(8, 8).requires_grad_(False)

    def forward(self, x):
        return self.base_layer(x) + self.up(x)


class Saved(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module.requires_grad_(True)

    def forward(self, x):
        return self.module(x)


class PeftModel(nn.Module):
    def __init__(self, model, config):
        super().__init__()
        self.base_model, self.peft_config = model, {"default": config}

    def forward(self, *args):
        return self.base_model(*args)


def get_peft_model(model, config):
    for p in model.parameters():
        p.requires_grad = False
    for name in config.target_modules:
        setattr(model, name, Linear(getattr(model, name)))
    for name in config.modules_to_save:
        setattr(model, name, Saved(getattr(model, name)))
    return PeftModel(model, config)


def loaded(module):
    for p in module.parameters():
        p.data = p.data.clone()
        p._is_hf_initialized = True
    return module
"""
START = """\
import peft
import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = peft.loaded(nn.Linear(8, 8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.encoder(x)))


"""
BODY = """\
base = Tagger()
{before}
model = peft.get_peft_model(base, peft.LoraConfig(target_modules=["encoder"]{more}))
{after}
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    loss = nn.functional.cross_entropy(model(torch.randn(4, 8)), torch.tensor([0, 1, 2, 0]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from told_beside({"peft": LIBRARY}, START, observe, tmp_path, monkeypatch)


def test_a_head_that_was_drawn_and_frozen_with_what_was_loaded(told: Any) -> None:
    (found,) = told(BODY.format(before="", more="", after=""))
    assert (found.code, found.cause.at.line) == ("GL103", 20)
    assert "base.head.weight and 1 more" in found.summary
    (repair,) = found.help
    assert 'LoraConfig(target_modules=["encoder"], modules_to_save=["head"])' in repair.after


@pytest.mark.parametrize(
    ("before", "more", "after"),
    [
        ("", ', modules_to_save=["head"]', ""),
        # A checkpoint had it, or it was loaded by hand.
        ("peft.loaded(base.head)", "", ""),
        ("base.head.load_state_dict(nn.Linear(8, 3).state_dict())", "", ""),
        # Nothing was loaded: the network stands for one that is random on purpose.
        ("base.encoder = nn.Linear(8, 8)", "", ""),
        # The program says itself what is to be trained.
        ("base.head.requires_grad_(False)", "", ""),
        ("", "", "model.base_model.head.requires_grad_(True)"),
    ],
)
def test_heads_that_are_trained_or_not_as_drawn(
    told: Any, before: str, more: str, after: str
) -> None:
    assert told(BODY.format(before=before, more=more, after=after)) == []

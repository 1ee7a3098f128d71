"""What GL127 rests on: none of torch's optimizers keeps a hyperparameter as an attribute."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphlab.observe.sightings.usage.hyperparameters import meant

KINDS = [
    each
    for each in vars(torch.optim).values()
    if isinstance(each, type)
    and issubclass(each, torch.optim.Optimizer)
    and each is not torch.optim.Optimizer
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_setting_of_torchs_own_is_read_from_the_groups_alone(kind: Any) -> None:
    optimizer = kind([torch.nn.Parameter(torch.zeros(2, 2))])
    assert optimizer.defaults
    assert not vars(optimizer).keys() & optimizer.defaults.keys()
    # Nor has it a key that looks like another name of one.
    for group in optimizer.param_groups:
        own = [key for key in group if key not in optimizer.defaults]
        assert [key for key in own if meant(key, tuple(optimizer.defaults))] == []


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("learning_rate", "lr"),
        ("weight_deacy", "weight_decay"),
        ("weight_decay_rate", "weight_decay"),
        ("momentun", "momentum"),
        ("wd", "weight_decay"),
        # What schedulers and recipes keep in a group.
        ("initial_lr", None),
        ("max_momentum", None),
        ("base_momentum", None),
        ("lr_scale", None),
        ("swa_lr", None),
        ("name", None),
        ("layer_decay", None),
    ],
)
def test_which_keys_are_taken_for_another_name(key: str, setting: str | None) -> None:
    assert meant(key, ("lr", "momentum", "weight_decay", "nesterov", "dampening")) == setting

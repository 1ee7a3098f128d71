"""When a buffer that was averaged by hand is a gradient times a number."""

from __future__ import annotations

import torch

from graphlab.observe.sightings.ranks.by_hand import _proportional


def test_any_two_numbers_are_multiples_of_each_other_and_tell_nothing() -> None:
    assert not _proportional(torch.tensor([2.0]), torch.tensor([4.0]))
    assert not _proportional(torch.tensor([]), torch.tensor([]))


def test_several_numbers_are_compared_by_the_largest() -> None:
    one = torch.tensor([1.0, -2.0, 0.5])
    assert _proportional(one / 2, one) and _proportional(one, one)
    assert not _proportional(one, torch.tensor([1.0, -2.0, 0.6]))
    assert not _proportional(torch.zeros(3), one) and not _proportional(one.double(), one)

"""What the alarm for numbers that are not finite reads at each backward and step, and keeps."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from graphlab.observe.notes import RawBackward
from graphlab.observe.numbers.finite import largest
from graphlab.observe.numbers.kept import steep_nodes
from graphlab.observe.numbers.kept.growth import Growth
from graphlab.observe.numbers.kept.steep_nodes import SteepNodes


def backward(at: int, line: Any) -> RawBackward:
    record = RawBackward(2 * at, None, "loss.backward()", "loss", at, False)
    record.line = line
    return record


def test_what_grew_is_told_behind_an_empty_parameter() -> None:
    empty, weight = nn.Parameter(torch.empty(0, 3)), nn.Parameter(torch.ones(3))
    growth = Growth()
    growth.parameters(0, 0, largest([empty, weight]))
    with torch.no_grad():
        weight.mul_(1e6)
    growth.parameters(0, 16, largest([empty, weight]))
    found = growth.of_parameters(0, [empty, weight], 17)
    assert found is not None
    parameter, grown = found
    assert parameter is weight and (grown.before, grown.after) == (1.0, 1e6)


def test_a_part_of_a_large_tensor_is_not_kept() -> None:
    nodes = SteepNodes()
    for count in (8, steep_nodes.ONE + 8):
        whole = torch.ones(count, requires_grad=True) * 1.0
        nodes.begins(backward(count, object()), whole[:4].log().sum())
    kept = [[each.kind for each in every] for _, every in nodes._kept]
    assert kept == [["Log"], []]


def test_two_losses_by_turns_each_keep_their_own_nodes() -> None:
    nodes, lines = SteepNodes(), (object(), object())
    for at in range(8):
        x = torch.ones(3, requires_grad=True)
        loss = x.sqrt().sum() if at % 2 else (x * 2).log().sum()
        nodes.begins(backward(at, lines[at % 2]), loss)
    kept = [[each.kind for each in every] for _, every in nodes._kept]
    assert kept == [["Log"], ["Sqrt"]] * 4

"""What the alarm for numbers that are not finite reads at each backward and step, and keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.observe.notes import RawBackward
from graphlab.observe.numbers import steep_nodes, watch
from graphlab.observe.numbers.finite import largest
from graphlab.observe.numbers.growth import Growth
from graphlab.observe.numbers.steep_nodes import SteepNodes
from graphlab.observe.process_state import PROCESS


def backward(at: int, line: Any) -> RawBackward:
    record = RawBackward(2 * at, None, "loss.backward()", "loss", at, False)
    record.line = line
    return record


def test_each_optimizer_keeps_its_own_look_that_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "device_of", lambda tensor: "cuda")
    nets = [nn.Linear(3, 1), nn.Linear(3, 1)]
    optimizers = [torch.optim.SGD(net.parameters(), 0.0) for net in nets]
    with graphlab.watch():
        for _ in range(watch.EVERY + 1):
            for net, optimizer in zip(nets, optimizers, strict=True):
                optimizer.zero_grad()
                net(torch.ones(2, 3)).mean().backward()
                optimizer.step()
        unread = PROCESS.active.numbers._unread
        assert len(unread) == 2
        for net, (sum_of_tops, _) in zip(nets, unread.values(), strict=True):
            assert float(sum_of_tops) == float(
                sum(p.detach().abs().max() for p in net.parameters())
            )


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
        nodes.begins(backward(count, object()), whole[:4].log().sum().grad_fn)
    kept = [[each.kind for each in every] for _, every in nodes._kept]
    assert kept == [["Log"], []]


def test_two_losses_by_turns_each_keep_their_own_nodes() -> None:
    nodes, lines = SteepNodes(), (object(), object())
    for at in range(8):
        x = torch.ones(3, requires_grad=True)
        loss = x.sqrt().sum() if at % 2 else (x * 2).log().sum()
        nodes.begins(backward(at, lines[at % 2]), loss.grad_fn)
    kept = [[each.kind for each in every] for _, every in nodes._kept]
    assert kept == [["Log"], ["Sqrt"]] * 4

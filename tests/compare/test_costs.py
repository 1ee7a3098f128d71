"""Bytes kept for backward, counted against graphs whose bytes can be worked out by hand."""

from __future__ import annotations

import runpy
import sys
from typing import Any

import pytest
import torch
from torch import nn

from graphlab import catalogue, lab
from graphlab.compare import costs
from graphlab.compare.costs import Clock, SavedBytes
from graphlab.compare.onlooker import Onlooker, attended

FLOAT = 4


def test_each_storage_counts_once_and_until_it_is_freed() -> None:
    saved = SavedBytes()
    with saved.counting():
        x = torch.ones(10, 8, requires_grad=True)
        y = x.exp()  # keeps y
        assert saved.peak == 80 * FLOAT
        z = (y * y.view(8, 10).t().contiguous()).sum()  # keeps y again, and a copy
        assert saved.peak == 160 * FLOAT
        z.backward()
        after = SavedBytes()
    assert saved.peak == 160 * FLOAT
    # What the backward freed is free: as much again reaches the same height, not twice it.
    with saved.counting():
        (torch.ones(40, requires_grad=True).exp().exp()).sum().backward()
    assert saved.peak == 160 * FLOAT
    assert after.peak == 0


def test_a_graph_that_is_dropped_is_free() -> None:
    saved = SavedBytes()
    with saved.counting():
        for _ in range(3):
            y = torch.ones(10, requires_grad=True).exp()
            del y
    assert saved.peak == 10 * FLOAT


def test_a_retained_graph_is_not() -> None:
    saved = SavedBytes()
    kept = []
    with saved.counting():
        for _ in range(3):
            y = torch.ones(10, requires_grad=True).exp()
            y.sum().backward(retain_graph=True)
            kept.append(y)
    assert saved.peak == 30 * FLOAT


def test_weights_are_free_of_charge() -> None:
    saved = SavedBytes()
    G, D = nn.Linear(6, 5), nn.Linear(5, 1)
    saved.networks(lab.arguments(argv=()), G, D)
    with saved.counting():
        D(G(torch.ones(3, 6))).sum().backward()
    # The inputs of both layers; D's weight is saved too, seen through a transpose.
    assert saved.peak == (18 + 15) * FLOAT


def run(name: str, onlooker: Onlooker, *words: str) -> dict[str, Any]:
    path = str(catalogue.scenario(name).path)
    kept = sys.argv
    sys.argv = [path, "--device", "cpu", *words]
    try:
        with attended(onlooker):
            return runpy.run_path(path, run_name="__main__")
    finally:
        sys.argv = kept


def test_counting_changes_no_weight() -> None:
    saved = SavedBytes()
    plain = run("recompute", Onlooker(), "--steps", "4")
    with saved.counting():
        counted = run("recompute", saved, "--steps", "4")
    for net in ("G", "D"):
        for one, other in zip(plain[net].parameters(), counted[net].parameters(), strict=True):
            assert torch.equal(one, other)
    assert saved.peak > 0


def peak(name: str) -> int:
    saved = SavedBytes()
    with saved.counting():
        run(name, saved, "--steps", "4")
    return saved.peak


def test_retaining_costs_what_detaching_saves() -> None:
    detach, recompute = peak("detach"), peak("recompute")
    # The inputs of D's three layers, for real and generated images; recompute keeps those of
    # the first pass through D until the next iteration's D_loss_ takes their name.
    batch = 64
    first_pass = 2 * batch * (64 + 128 + 64) * FLOAT
    assert recompute - detach > first_pass
    assert peak("joint-one-to-one") == pytest.approx(detach, rel=0.01)


def test_a_clock_wants_a_whole_window() -> None:
    few, enough = Clock(), Clock()
    run("detach", few, "--steps", str(costs.WARM_UP + costs.WINDOW - 1))
    run("detach", enough, "--steps", str(costs.WARM_UP + costs.WINDOW))
    assert few.seconds is None
    assert enough.seconds is not None and enough.seconds > 0
    assert enough.cuda_peak is None


def test_the_fastest_window_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(costs.time, "perf_counter", lambda: now[0])
    clock = Clock()
    for number in range(costs.WARM_UP + 3 * costs.WINDOW):
        slow = costs.WARM_UP <= number < costs.WARM_UP + costs.WINDOW
        now[0] += 5.0 if slow else 2.0
        clock.end()
    assert clock.seconds == 2.0

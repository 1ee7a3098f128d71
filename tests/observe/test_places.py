"""A write through `.data` to one part of a buffer, of which backward saved another."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

import graphlab
from graphlab.observe.graph.restored import apart, part_of


def codes(session: graphlab.Session) -> list[str]:
    return [each.code for each in session.findings]


@pytest.mark.parametrize("at", [0, 1, slice(1, 3), (slice(None), 2), (..., 0), (0, -1), (None, 0)])
def test_one_row_is_saved(at: Any) -> None:
    rows = torch.ones(4, 3)
    w = torch.ones(3, requires_grad=True)
    with graphlab.watch() as session:
        loss = (rows[0] * w).sum()
        rows.data[at] = 2.0
        loss.backward()
    assert codes(session) == ([] if torch.equal(rows[0], torch.ones(3)) else ["GL105"])


@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_stages_of_a_solver_lie_in_one_buffer(column: int) -> None:
    stages = torch.ones(5, 3)
    w = torch.ones(1, requires_grad=True)
    with graphlab.watch() as session:
        loss = (stages[:, :2] * w).sum()
        stages.data[:, column].fill_(3.0)
        loss.backward()
    assert codes(session) == (["GL105"] if column < 2 else [])


def test_where_the_values_of_an_index_tell_the_whole_counts() -> None:
    rows = torch.ones(4, 3)
    w = torch.ones(3, requires_grad=True)
    with graphlab.watch() as session:
        loss = (rows[0] * w).sum()
        rows.data[torch.tensor([0])] = 2.0
        loss.backward()
    assert codes(session) == ["GL105"]


def test_none_that_share_an_element_are_apart() -> None:
    draw = random.Random(0)
    base = torch.arange(48).reshape(2, 3, 4, 2)
    told = 0
    for _ in range(3000):
        one, other = part(base, draw), part(base, draw)
        if apart(part_of(one), part_of(other)):
            told += 1
            assert not {*one.flatten().tolist()} & {*other.flatten().tolist()}
    assert told > 100


def test_an_index_is_worked_out_as_torch_does() -> None:
    draw = random.Random(1)
    base = torch.arange(48).reshape(2, 3, 4, 2).permute(2, 0, 3, 1)
    pool = [slice(None), ..., None, 0, -1, 1, slice(1, None), slice(None, -1), slice(0, 9, 2)]
    for _ in range(2000):
        index = tuple(draw.choices(pool, k=draw.randint(0, 4)))
        try:
            taken = base[index]
        except IndexError:
            continue
        found = part_of(base, (index,))
        if found is not None:
            assert sizes(found) == sizes(part_of(taken)), index
    assert part_of(base, (torch.tensor([0]),)) is None
    assert part_of(base, (True,)) is None
    assert part_of(base, ([0, 1],)) is None


def part(base: torch.Tensor, draw: random.Random) -> torch.Tensor:
    turned = base.permute(*draw.sample(range(4), 4))
    index = [draw.choice([slice(None), slice(1, None, 2), slice(0, 1), 0]) for _ in range(4)]
    return turned[tuple(index)]


def sizes(layout: Any) -> tuple[list[tuple[int, int]], int]:
    shape, steps, offset = layout
    return [(n, step) for n, step in zip(shape, steps, strict=True) if n > 1], offset

"""A film has the numbers of small tensors, and reading them changes nothing."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab

EXAMPLE = Path(__file__).parents[2] / "examples" / "two_weights.py"


def filmed(program: Any) -> Any:
    with graphlab.watch(film=True) as session:
        program()
    (run,) = session.player().runs
    return run.film


def values(film: Any, name: str) -> list[tuple[int, tuple[float, ...]]]:
    """(version, values) each time that something of a tensor changed, without repetitions."""
    place = [each.name for each in film.tensors].index(name)
    changes = [*film.before, *(each for moment in film.moments for each in moment.changes)]
    found = [(each.version, each.values) for each in changes if each.tensor == place]
    return list(dict.fromkeys(found))


def test_the_example_has_the_gradient_that_can_be_worked_out_by_hand() -> None:
    def program() -> None:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            runpy.run_path(str(EXAMPLE))

    film = filmed(program)
    (pair,) = film.gradients
    assert film.tensors[pair.tensor].name == "first"
    assert (pair.right, pair.stale) == ((3.0,), (1.0,))
    assert values(film, "second") == [(0, (3.0,)), (1, (1.0,))]


def loop(steps: int, log: list[Any]) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 2)
    wide = torch.nn.Linear(2, 20)
    optimizer = torch.optim.SGD([*layer.parameters(), *wide.parameters()], lr=0.1)
    for _ in range(steps):
        out = layer(torch.ones(1, 2))
        loss = (out * layer.bias).sum() + wide(out).sum()
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
        log.append([each.detach().clone() for each in layer.parameters()])
        log.append([each._version for each in layer.parameters()])


def test_small_ones_alone_are_read_and_nothing_changes() -> None:
    plain: list[Any] = []
    loop(3, plain)
    watched: list[Any] = []
    film = filmed(lambda: loop(3, watched))
    assert str(plain) == str(watched)
    names = {film.tensors[each.tensor].name for each in film.before if each.values is not None}
    assert names == {"layer.weight", "layer.bias"}
    assert film.gradients == (), "nothing was refused"


def test_a_refused_backward_leaves_values_and_counters_as_they_were() -> None:
    after: list[Any] = []

    def program() -> None:
        first = torch.tensor([2.0, 1.0], requires_grad=True)
        second = torch.tensor([3.0, 4.0], requires_grad=True)
        optimizer = torch.optim.SGD([second], lr=0.5)
        other = torch.optim.SGD([first], lr=0.5)
        y = (first * second).sum()
        y.backward(retain_graph=True)
        optimizer.step()
        other.zero_grad()
        before = second.detach().clone(), second._version
        with pytest.raises(RuntimeError):
            y.backward()
        after.append((torch.equal(before[0], second), before[1] == second._version, first.grad))

    film = filmed(program)
    assert after == [(True, True, None)]
    (pair,) = film.gradients
    assert (pair.right, pair.stale) == ((3.0, 4.0), (2.0, 3.5))


def test_a_graph_with_a_hook_is_not_run_again() -> None:
    calls: list[int] = []

    def program() -> None:
        first = torch.tensor([2.0], requires_grad=True)
        second = torch.tensor([3.0], requires_grad=True)
        optimizer = torch.optim.SGD([second], lr=0.5)
        y = first * second
        y.register_hook(lambda grad: calls.append(1))
        y.sum().backward(retain_graph=True)
        optimizer.step()
        with pytest.raises(RuntimeError):
            y.sum().backward()

    film = filmed(program)
    assert film.gradients == ()
    assert calls == [1, 1]

"""Of optimizers that one line makes again and again, the first tell what the later ones are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.observe.names import Names
from graphlab.observe.price import series
from graphlab.rules.registry import find
from graphlab.trace.model import Mix, Step, Trace

TASKS = 40


def adapt(learner: nn.Module, task: int, twist: Callable[..., None] | None = None) -> None:
    opt = torch.optim.SGD(learner.parameters(), lr=0.05)
    for _ in range(3):
        loss = learner(torch.randn(5, 3)).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        if twist is not None and task >= TASKS // 2:
            twist(learner, opt)
        opt.step()


def again(learner: nn.Module, opt: Any) -> None:
    opt.step()


def mixed(learner: nn.Module, opt: Any) -> None:
    penalty = -learner(torch.randn(5, 3)).mean()
    penalty.backward()


def watched(program: Callable[[], None]) -> Trace:
    torch.manual_seed(0)
    with graphlab.watch() as session, contextlib.suppress(RuntimeError):
        program()
    return session.trace


def tasks(twist: Callable[..., None] | None = None) -> None:
    for task in range(TASKS):
        adapt(nn.Linear(3, 1), task, twist)


def names(trace: Trace) -> list[tuple[str, list[str | None]]]:
    return [(each.name, [trace.tensors[i].name for i in each.owns]) for each in trace.optimizers]


def compared(trace: Trace) -> list[tuple[int, Mix]]:
    """The optimizer of every step that was compared by value, and its mix."""
    steps = [each for each in trace.events if isinstance(each, Step)]
    return [(each.optimizer, each.mix) for each in steps if each.mix is not None]


def test_names_are_gathered_for_the_first_and_for_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = []
    gather = Names.gather
    monkeypatch.setattr(
        Names, "gather", lambda self, frame: gathered.append(frame) or gather(self, frame)
    )
    few = watched(tasks)
    count = len(gathered)
    monkeypatch.setattr(series, "ALIKE", 10**6)
    assert names(watched(tasks)) == names(few)
    assert len(gathered) - count > 2 * count


def test_what_a_later_one_does_for_the_first_time_is_told() -> None:
    (finding,) = find(watched(lambda: tasks(again)))
    assert finding.code == "GL109" and finding.summary.startswith("opt.step() had no gradient")


def test_after_news_the_next_ones_are_compared_by_value() -> None:
    mixes = compared(watched(lambda: tasks(mixed)))
    late = [mix for optimizer, mix in mixes if optimizer > TASKS // 2]
    assert len(late) > 3
    assert {share.loss for mix in late for share in mix.shares} == {"loss", "penalty"}


def test_another_caller_makes_another_series() -> None:
    def program() -> None:
        for task in range(TASKS):
            student = nn.Linear(3, 1)
            adapt(student, task)
        for task in range(3):
            teacher = nn.Linear(3, 1)
            adapt(teacher, task)

    found = names(watched(program))
    assert {each[1][0] for each in found[:TASKS]} == {"student.weight"}
    assert {each[1][0] for each in found[TASKS:]} == {"teacher.weight"}


def test_an_ensemble_is_no_series() -> None:
    def program() -> None:
        nets = [nn.Linear(3, 1) for _ in range(20)]
        opts = [torch.optim.SGD(net.parameters(), 0.1) for net in nets]
        for _ in range(3):
            for net, opt in zip(nets, opts, strict=True):
                opt.zero_grad()
                net(torch.randn(5, 3)).pow(2).mean().backward()
                opt.step()

    found = watched(program)
    assert [each.name for each in found.optimizers[1:]] == [f"opts[{i}]" for i in range(1, 20)]
    assert {optimizer for optimizer, _ in compared(found)} == {*range(20)}

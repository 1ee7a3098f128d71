"""What is called inside a backward is followed, also where torch's own calls before it are not."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.observe.hooks.modules.trees import Trees


def line_of(text: str) -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(at for at, line in enumerate(file, 1) if line.strip() == text)


class Plain(torch.Tensor):
    pass


def fails_before_the_engine() -> None:
    with pytest.raises(RuntimeError, match="implicitly"):
        nn.Linear(3, 2)(torch.randn(2, 3)).backward()


def fails_in_the_engine() -> None:
    w = torch.ones(2, requires_grad=True)
    y = w.exp()
    loss = (y * y).sum()
    y.detach().mul_(1)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def of_a_subclass() -> None:
    weight = torch.ones(2, requires_grad=True)
    (weight * 2).as_subclass(Plain).sum().backward()


def one_in_another() -> None:
    w = torch.ones(2, requires_grad=True)
    y = w * 2
    inner = w.exp().sum()
    y.register_hook(lambda gradient: inner.backward())
    y.sum().backward()


@pytest.mark.parametrize(
    "before", [fails_before_the_engine, fails_in_the_engine, of_a_subclass, one_in_another]
)
def test_lines_are_followed_again_after(before: Any) -> None:
    net, x = nn.Linear(3, 1), torch.randn(2, 3)
    with graphlab.watch() as session, pytest.raises(RuntimeError):
        following = sys.gettrace()
        before()
        assert sys.gettrace() is following
        h = net(x).exp()
        loss = (h * h).sum()
        h.add_(1)
        loss.backward()
    finding = [each for each in session.findings if each.code == "GL001"][-1]
    assert finding.saved.at.line == line_of("loss = (h * h).sum()")
    assert finding.mutated.at.line == line_of("h.add_(1)")


def test_a_hook_that_runs_in_a_backward_is_followed() -> None:
    made: list[Any] = []
    w = torch.ones(2, requires_grad=True)

    def hook(gradient: Any) -> None:
        kept = gradient.detach()
        made.append((w * kept.exp()).sum())

    with graphlab.watch() as session, pytest.raises(RuntimeError):
        for _ in range(3):
            y = w * 2
            y.register_hook(hook)
            y.sum().backward(create_graph=True)
        with torch.no_grad():
            made[-1].grad_fn.next_functions[0][0]._raw_saved_other.data.mul_(2)
        made[-1].backward()
    (finding,) = [each for each in session.findings if each.severity == "error"]
    assert finding.saved.at.line == line_of("made.append((w * kept.exp()).sum())")


def test_an_error_of_ours_as_a_module_is_called_is_a_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(self: Trees, module: Any) -> Any:
        raise ValueError("ours")

    monkeypatch.setattr(Trees, "of", fails)
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    x = torch.randn(2, 3)
    expected = net(x)
    with graphlab.watch() as session:
        assert torch.equal(net(x), expected)
        net(x).sum().backward()
    assert any("ours" in notice for notice in session.trace.unseen)


def test_the_metaclass_of_a_tensor_is_asked_nothing_more() -> None:
    asked = Counter[str]()

    class Meta(type(torch.Tensor)):
        def __eq__(cls, other: object) -> bool:
            asked["eq"] += 1
            return cls is other

        def __hash__(cls) -> int:
            asked["hash"] += 1
            return id(cls)

    class Hidden(torch.Tensor, metaclass=Meta):
        pass

    def train() -> Counter[str]:
        asked.clear()
        weight = torch.ones(3).as_subclass(Hidden).requires_grad_()
        optimizer = torch.optim.SGD([weight], lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            (weight * weight).sum().backward()
            optimizer.step()
        return asked.copy()

    alone = train()
    with graphlab.watch():
        watched = train()
    assert watched == alone

"""What stands for torch's functions that write is made once and used by every session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import graphlab


def in_place() -> dict[str, Any]:
    """What may be patched, by its name."""
    members = [*vars(torch.Tensor).items(), *vars(torch).items()]
    return {name: each for name, each in members if name.endswith("_") or name == "data"}


@pytest.fixture(autouse=True)
def _all_as_it_was() -> Iterator[None]:
    before = in_place()
    yield
    assert in_place() == before


def stale(write: Any) -> list[tuple[str, int]]:
    """The findings of a backward whose saved tensor `write` has changed, and the lines."""
    with graphlab.watch() as session:
        x = torch.ones(3, requires_grad=True)
        y = x.exp()
        write(y)
        with pytest.raises(RuntimeError):
            y.sum().backward()
    assert session.trace.unseen == ()
    found = [each for each in session.findings if each.severity == "error"]
    return [(each.code, each.mutated.at.line) for each in found if each.mutated and each.mutated.at]


def add(y: torch.Tensor) -> None:
    y.add_(1)


LINE = add.__code__.co_firstlineno + 1


def test_one_session_after_the_other_sees_the_writes() -> None:
    assert stale(add) == stale(add) == [("GL001", LINE)]


def test_what_the_program_put_there_between_two_sessions_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stale(add)
    calls: list[int] = []
    native = torch.Tensor.add_

    def counting(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        return native(self, *args, **kwargs)

    with monkeypatch.context() as patching:
        patching.setattr(torch.Tensor, "add_", counting)
        assert stale(add) == [("GL001", LINE)] and calls
        assert torch.Tensor.add_ is counting
    calls.clear()
    assert stale(add) == [("GL001", LINE)] and not calls


def test_a_wrapper_that_the_program_keeps_goes_on_working() -> None:
    with graphlab.watch():
        kept = torch.Tensor.add_
    x = torch.ones(2)
    assert kept(x, 1).tolist() == [2, 2]
    assert [code for code, _ in stale(lambda y: kept(y, 1))] == ["GL001"]


def test_the_session_around_another_goes_on() -> None:
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def closure() -> torch.Tensor:
        with graphlab.watch() as inner:
            optimizer.zero_grad()
            loss = net(torch.ones(1, 2)).sum()
            loss.backward()
        assert inner.findings == []
        return loss

    with graphlab.watch() as session:
        late = net.weight.pow(2).sum()
        optimizer.step(closure)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError):
            late.backward()
    (finding,) = [each for each in session.findings if each.code == "GL001"]
    assert "changed in place by optimizer.step()" in finding.summary

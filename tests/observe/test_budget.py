"""A budget that is too small makes graphlab look less, and it says at what; errors are told all the
same."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import UserError
from graphlab.observe.price import budget as price

AT = 150


def train(steps: int, mistake_at: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for step in range(steps):
        hidden = net(torch.randn(5, 3)).exp()
        loss = hidden.sum() * 0.001
        optimizer.zero_grad()
        if step == mistake_at:
            hidden.add_(1.0)
        loss.backward()
        optimizer.step()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are as short as can be, on any machine."""
    monkeypatch.setattr(price, "SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_above_its_budget_it_looks_less_and_says_at_what() -> None:
    with graphlab.watch(budget=1e-9) as session:
        train(200, -1)
    values, lines, rest = session.trace.unseen
    assert "after iteration 79, graphlab no longer saw the graphs" in values
    assert "after iteration 119, graphlab no longer saw the lines that ran" in lines
    assert "what it never leaves out took" in rest
    assert session.trace.iterations == 200
    assert session.findings == []
    [optimizer] = session.trace.optimizers
    assert optimizer.steps == 200
    assert sys.gettrace() is None or not hasattr(sys, "monitoring")


@pytest.mark.usefixtures("impatient")
def test_what_is_not_looked_at_costs_no_finding_of_an_error() -> None:
    with pytest.raises(RuntimeError), graphlab.watch(budget=1e-9) as session:
        train(200, AT)
    [finding] = session.findings
    assert (finding.code, finding.iteration) == ("GL001", AT)
    places: Any = (finding.mutated, finding.failed)
    assert [place.at.code for place in places] == ["hidden.add_(1.0)", "loss.backward()"]
    # The line that saved it ran unseen: none is named rather than a wrong one.
    assert finding.saved is not None and finding.saved.at is None


def test_within_its_budget_it_sees_all() -> None:
    with graphlab.watch(budget=1e9) as session:
        train(100, -1)
    assert session.trace.unseen == ()


@pytest.mark.usefixtures("impatient")
def test_a_session_after_one_that_looked_less_sees_lines_again() -> None:
    with graphlab.watch(budget=1e-9) as session:
        train(150, -1)
    with pytest.raises(RuntimeError):
        session.start()
        try:
            train(20, 10)
        finally:
            session.stop(sys.exc_info()[1])
    [finding] = session.findings
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.code == "hidden = net(torch.randn(5, 3)).exp()"


def test_backwards_that_number_no_iterations_leave_them_unnumbered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(price, "SECONDS", 0.0)
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with pytest.raises(RuntimeError), graphlab.watch(budget=1e-9) as session:
        for step in range(100):
            optimizer.zero_grad()
            for _ in range(2):
                loss = (weight * 2).exp().sum()
                loss.backward()
            optimizer.step()
            if step == 90:
                loss.backward()
    assert [(each.code, each.iteration) for each in session.findings] == [("GL002", None)]


@pytest.mark.parametrize("share", [0, -0.1, float("inf"), float("nan"), "a fifth"])
def test_what_is_no_share_is_refused(share: Any) -> None:
    with pytest.raises(UserError, match="is not a share") as raised:
        graphlab.watch(budget=share)
    assert "0.2 is a fifth" in raised.value.help

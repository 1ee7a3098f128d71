"""How graphs that a program keeps are measured, also those in long lists."""

from __future__ import annotations

from collections import deque

import pytest
import torch

import graphlab
from graphlab.observe.graph.kept import NEWEST, held_in


def test_what_a_long_list_holds() -> None:
    row = (torch.ones(1), 0, 1.0, torch.ones(1))
    assert held_in(deque([row] * 3)) == ([row[0], row[3]] * 3, 0)
    found, others = held_in(deque([row] * 5000))
    assert (len(found), others) == (2 * NEWEST, 5000 - NEWEST)
    last = torch.zeros(1)
    assert held_in([0.5] * 5000 + [last]) == ([last], 5001 - NEWEST)
    assert held_in([{"loss": last, "at": 3}, [last]]) == ([last], 0)
    assert held_in(last) == ([last], 0)
    assert held_in("text") == ([], 0)


@pytest.mark.parametrize("before", [0, 2 * NEWEST])
@pytest.mark.parametrize("each", [1, 100])
def test_a_list_of_losses_grows_however_long_it_is(before: int, each: int) -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with graphlab.watch() as session:
        losses = [torch.zeros(()) for _ in range(before)]
        for _ in range(12):
            loss = net(torch.randn(4, 2)).pow(2).mean()
            losses += [loss * 1.0 for _ in range(each)]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert [each.name for each in session.trace.growing] == ["losses"]


@pytest.mark.parametrize("used", [True, False])
def test_terms_that_a_backward_goes_through_in_the_end_were_kept_for_it(used: bool) -> None:
    critic, policy = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    own = torch.optim.SGD(critic.parameters(), lr=0.1)
    with graphlab.watch() as session:
        for _ in range(2):
            terms = []
            for _ in range(8):
                x = torch.randn(4, 2)
                loss = critic(x).pow(2).mean()
                own.zero_grad()
                loss.backward()
                own.step()
                terms.append(policy(x).mean())
            if used:
                torch.stack(terms).sum().backward()
    assert [each.name for each in session.trace.growing] == ([] if used else ["terms"])


@pytest.mark.parametrize(("batches", "epochs"), [(3, 10), (12, 8)])
@pytest.mark.parametrize("detached", [True, False])
def test_what_is_kept_once_an_epoch_grows(batches: int, epochs: int, detached: bool) -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with graphlab.watch() as session:
        validation = []
        for _ in range(epochs):
            for _ in range(batches):
                loss = net(torch.randn(4, 2)).pow(2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            kept = sum(net(torch.randn(4, 2)).pow(2).mean() for _ in range(2))
            validation.append(kept.detach() if detached else kept)
    assert [each.name for each in session.trace.growing] == ([] if detached else ["validation"])

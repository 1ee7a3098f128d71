"""Which of autograd's refusals an error is, as this very torch words it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

import graphlab
from graphlab.observe.refusals import mistakes
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.rules.registry import find


def stale() -> None:
    weight = torch.ones(3, 2, requires_grad=True)
    product = weight.sigmoid()
    loss = product.pow(2).sum()
    product.detach().mul_(2)
    loss.backward()


def freed() -> None:
    loss = torch.randn(4, 4, requires_grad=True).tanh().sum()
    torch.autograd.grad(loss, loss.grad_fn.next_functions[0][0].next_functions[0][0].variable)
    loss.backward()


def no_graph() -> None:
    torch.autograd.backward([torch.ones(2).sum()])


def vector() -> None:
    torch.ones(7, requires_grad=True).exp().backward()


def unused() -> None:
    one, other = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    torch.autograd.grad(one.sum(), [one, other])


def leaf() -> None:
    torch.nn.Linear(2, 2).weight.add_(1)


def view_of_leaf() -> None:
    torch.nn.Linear(2, 2).weight[1:] = 0


def chunked() -> None:
    torch.ones(6, requires_grad=True).exp().chunk(3)[2].mul_(2)


def view_without_grad() -> None:
    base = torch.ones(6, requires_grad=True).exp()
    with torch.no_grad():
        part = base[2:]
    part += 1


def shapes() -> None:
    torch.ones(2, 3) @ torch.ones(2, 3)


def assignment() -> None:
    torch.ones(2, requires_grad=True)[0] = torch.ones(7)


def own() -> None:
    raise RuntimeError("the gradient is not finite")


def said(make: Callable[[], None]) -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        make()
    return caught.value


@pytest.mark.parametrize(
    ("make", "mistake"),
    [
        (stale, "stale"),
        (freed, "freed"),
        (no_graph, "outright"),
        (vector, "outright"),
        (unused, "outright"),
        (leaf, "leaf"),
        (view_of_leaf, "leaf"),
        (chunked, "view"),
        (view_without_grad, "view"),
        (shapes, None),
        (assignment, None),
        (own, None),
    ],
)
def test_told_apart(make: Callable[[], None], mistake: str | None) -> None:
    assert mistake_of(said(make)) == mistake


def test_whatever_the_program_has_set() -> None:
    mistakes._KNOWN.clear()
    error = said(stale)
    with (
        torch.inference_mode(),
        torch.autograd.set_detect_anomaly(True),
        torch.device("meta"),
    ):
        assert mistake_of(error) == "stale"
        assert torch.is_inference_mode_enabled() and not torch.is_grad_enabled()
        assert torch.ones(1).device.type == "meta"
    assert len(mistakes._messages()) == len(mistakes._MISTAKES)


def test_the_mistakes_are_made_unseen() -> None:
    """A session that is open must not take them for the program's."""
    mistakes._KNOWN.clear()
    with graphlab.watch() as session:
        tracing = sys.gettrace()
        assert mistake_of(RuntimeError("the gradient is not finite")) is None
        assert sys.gettrace() is tracing
    assert session.trace.unseen == ()
    assert find(session.trace) == []


def test_what_could_not_be_made_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the stack nothing can be tried."""

    def too_deep(torch: Any) -> None:
        raise RecursionError

    mistakes._KNOWN.clear()
    with monkeypatch.context() as patch:
        patch.setattr(mistakes, "_MISTAKES", [(name, too_deep) for name, _ in mistakes._MISTAKES])
        assert mistake_of(said(stale)) is None
    assert mistake_of(said(stale)) == "stale"


def test_no_random_number_is_drawn() -> None:
    mistakes._KNOWN.clear()
    before = torch.get_rng_state()
    mistakes._messages()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("wrapped", [iter, list, tuple])
def test_an_unused_input_is_found_whatever_it_is_given_in(
    wrapped: Callable[[list[torch.Tensor]], Any],
) -> None:
    one, other = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError), graphlab.watch() as session:
        torch.autograd.grad(one.sum(), wrapped([one, other]))
    (finding,) = session.findings
    assert finding.code == "GL006"
    assert finding.tensor is not None and finding.tensor.tensor.name == "other"

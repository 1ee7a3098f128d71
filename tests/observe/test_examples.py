"""Which examples of a batch, and which batches of a loop, train nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import graphlab

LAYERS = {
    "lstm": lambda first: nn.LSTM(3, 8, bidirectional=True, batch_first=first),
    "attention": lambda first: Attention(first),
    "encoder": lambda first: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=first), 1, enable_nested_tensor=False
    ),
}
READS = {
    "one": lambda out, head: head(out[:, -1]),
    "behind a layer": lambda out, head: head(out).relu()[:, 4, :],
    "first": lambda out, head: head(out[:, 0]),
    "mean": lambda out, head: head(out.mean(1)),
    "all": lambda out, head: head(out).flatten(1),
    "two": lambda out, head: head(out[:, 0] + out[:, 1]),
    "detached": lambda out, head: head(out)[-1] + out.detach().mean(1).sum(),
}


class Attention(nn.Module):
    def __init__(self, first: bool) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=first)

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x, x, x)


def _found(program: Callable[[], None]) -> list[str]:
    with graphlab.watch() as session:
        program()
    return [each.code for each in session.findings]


def _codes(layer: str, first: bool, read: str) -> list[str]:
    def program() -> None:
        torch.manual_seed(0)
        model = LAYERS[layer](first)
        head = nn.Linear(16 if layer == "lstm" else 8, 1)
        optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.01)
        for _ in range(4):
            out = model(torch.randn(6, 5, 3 if layer == "lstm" else 8))
            out = out[0] if isinstance(out, tuple) else out
            loss = READS[read](out, head).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return [each for each in _found(program) if each == "GL143"]


@pytest.mark.parametrize("read", ["one", "behind a layer"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_takes_the_sequence_first(layer: str, read: str) -> None:
    assert _codes(layer, False, read) == ["GL143"]
    assert _codes(layer, True, read) == []


@pytest.mark.parametrize("read", ["first", "mean"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_class_token_or_a_mean_is_an_attentions(layer: str, read: str) -> None:
    """Of a recurrent layer it may be one agent of several, or all of them."""
    assert _codes(layer, False, read) == ([] if layer == "lstm" else ["GL143"])


@pytest.mark.parametrize("read", ["all", "two", "detached"])
def test_what_reads_more_of_the_batch_is_left_alone(read: str) -> None:
    assert _codes("lstm", False, read) == []


def test_a_loss_of_the_last_turn_alone() -> None:
    def program(turns: int) -> None:
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            total = 0.0
            for x in torch.randn(turns, 2, 4):
                loss = model(x).square().mean()
                total += loss.item()
            optimizer.zero_grad()
            loss.backward()  # pyright: ignore[reportPossiblyUnboundVariable]
            optimizer.step()

    assert _found(lambda: program(3)) == ["GL144"]
    assert "GL144" not in _found(lambda: program(1))


def test_a_state_that_goes_through_the_turns() -> None:
    def program() -> None:
        torch.manual_seed(0)
        cell = nn.RNNCell(4, 4)
        optimizer = torch.optim.SGD(cell.parameters(), lr=0.01)
        for _ in range(4):
            state = torch.zeros(2, 4)
            for x in torch.randn(3, 2, 4):
                state = cell(x, state)
                loss = state.square().mean()
            optimizer.zero_grad()
            loss.backward()  # pyright: ignore[reportPossiblyUnboundVariable]
            optimizer.step()

    assert "GL144" not in _found(program)

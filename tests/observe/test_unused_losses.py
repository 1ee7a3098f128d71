"""A list of losses that are in no backward, and one that keeps those of turns that are over."""

from __future__ import annotations

import pytest
import torch

import graphlab


@pytest.mark.parametrize("kept", ["value_losses", "losses"])
def test_a_list_of_losses(kept: str) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses: list[torch.Tensor] = []
    with graphlab.watch() as session:
        for _ in range(8):
            out = model(torch.randn(4, 2))
            value_losses = [out.abs().mean()] if kept == "value_losses" else []
            loss = out.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if kept == "losses":
                losses.append(loss)
        del value_losses
    told = [each for each in session.findings if each.code == "GL119"]
    assert [each.summary.split()[0] for each in told] == (
        ["value_losses"] if kept == "value_losses" else []
    )

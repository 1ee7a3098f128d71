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


@pytest.mark.parametrize("name", ["loss_size", "running_loss"])
def test_an_item_of_a_dictionary(name: str) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with graphlab.watch() as session:
        for _ in range(8):
            out = model(torch.randn(4, 2))
            terms = {"loss": out.square().mean(), name: out.abs().mean()}
            optimizer.zero_grad()
            terms["loss"].backward()
            optimizer.step()
        del terms
    told = [each.summary.split()[0] for each in session.findings if each.code == "GL119"]
    assert told == (['terms["loss_size"]'] if name == "loss_size" else [])

"""A backward that raises because an evaluation left the model in eval mode."""

from __future__ import annotations

import torch
from torch import nn

import graphlab


class Recorded(nn.Module):
    """Keeps what it was given in training mode, for a hook in backward, as per-sample gradients
    do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.drop = nn.Linear(3, 3), nn.Dropout(0.5)
        self.given: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.drop(self.linear(x))
        if self.training:
            self.given.append(x.detach())
        if out.requires_grad:
            out.register_hook(lambda gradient: (self.given.pop(), None)[1])
        return out


def codes(back: bool, broken: bool) -> list[str]:
    session = graphlab.watch()
    torch.manual_seed(0)
    model = Recorded()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    try:
        with session:
            for epoch in range(2):
                for _ in range(3):
                    optimizer.zero_grad()
                    loss = model(torch.ones(2, 3)).sum()
                    if broken and epoch == 1:
                        model.given.clear()
                    loss.backward()
                    optimizer.step()
                model.eval()
                with torch.no_grad():
                    model(torch.ones(2, 3))
                    model.given = model.given[:0]
                if back:
                    model.train()
    except IndexError:
        pass
    return [each.code for each in session.findings]


def test_left_in_eval_mode() -> None:
    assert codes(back=False, broken=False) == ["GL000", "GL122"]


def test_put_back_and_sound() -> None:
    assert codes(back=True, broken=False) == []


def test_put_back_and_broken_otherwise() -> None:
    assert codes(back=True, broken=True) == ["GL000"]

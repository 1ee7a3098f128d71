"""A gate whose Function is written and called as it was in an old release of torch."""

import torch
from torch import nn


class HardGate(torch.autograd.Function):
    def forward(self, x):
        self.save_for_backward(x)
        return (x > 0).float()

    def backward(self, given):
        (x,) = self.saved_tensors
        return given * (x.abs() < 1)


class Gated(nn.Module):
    def __init__(self, n_in=6, hidden=12):
        super().__init__()
        self.scores = nn.Linear(n_in, hidden)
        self.values = nn.Linear(n_in, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        gate = HardGate()(self.scores(x))
        return self.out(gate * self.values(x))


def main():
    torch.manual_seed(4)
    model = Gated()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(8):
        x = torch.randn(32, 6)
        loss = nn.functional.mse_loss(model(x), x.relu().sum(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.4f}")


if __name__ == "__main__":
    main()

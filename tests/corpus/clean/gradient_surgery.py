"""PCGrad: the gradients of two tasks are taken apart, projected, and written to .grad by hand."""

import torch
import torch.nn.functional as F
from torch import nn


class SharedNet(nn.Module):
    def __init__(self, n_in=8, width=16):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(n_in, width), nn.Tanh(), nn.Linear(width, width))
        self.tasks = nn.ModuleList([nn.Linear(width, 1), nn.Linear(width, 1)])

    def forward(self, x):
        h = torch.tanh(self.shared(x))
        return [task(h).squeeze(1) for task in self.tasks]


class PCGrad:
    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.params = [p for g in optimizer.param_groups for p in g["params"]]
        self.conflicts = 0

    def flat_gradient(self, loss):
        grads = torch.autograd.grad(loss, self.params, retain_graph=True, allow_unused=True)
        parts = [
            torch.zeros_like(p) if g is None else g for p, g in zip(self.params, grads, strict=True)
        ]
        return torch.cat([g.flatten() for g in parts])

    def project(self, grads):
        projected = []
        for i, g in enumerate(grads):
            for j, other in enumerate(grads):
                dot = torch.dot(g, other)
                if i != j and dot < 0:
                    g = g - dot / other.dot(other) * other
                    self.conflicts += 1
            projected.append(g)
        return torch.stack(projected).sum(dim=0)

    def step(self, losses):
        merged = self.project([self.flat_gradient(loss) for loss in losses])
        start = 0
        for p in self.params:
            p.grad = merged[start : start + p.numel()].view_as(p).clone()
            start += p.numel()
        self.optimizer.step()


if __name__ == "__main__":
    torch.manual_seed(0)
    w = torch.randn(2, 8)
    w[1] = 0.4 * w[1] - 0.6 * w[0]
    model = SharedNet()
    method = PCGrad(torch.optim.Adam(model.parameters(), lr=5e-3))
    for it in range(24):
        x = torch.randn(32, 8)
        outputs = model(x)
        losses = [F.mse_loss(out, torch.tanh(x @ w[i])) for i, out in enumerate(outputs)]
        method.step(losses)
        if it % 6 == 0:
            print(it, [round(loss.item(), 4) for loss in losses], "conflicts", method.conflicts)

"""Two tasks on one trunk; gradients that conflict are projected (PCGrad)."""

import torch
import torch.nn.functional as F
from torch import nn


class PCGrad:
    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.params = [p for g in optimizer.param_groups for p in g["params"]]

    def grads_of(self, loss):
        self.optimizer.zero_grad()
        loss.backward(retain_graph=True)
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        return torch.cat([each.flatten() for each in found])

    def step(self, losses):
        grads = [self.grads_of(loss) for loss in losses]
        projected = [g.clone() for g in grads]
        for g in projected:
            for other in grads:
                dot = g @ other
                if dot < 0:
                    g -= dot / other.square().sum() * other
        total, at = torch.stack(projected).sum(0), 0
        for p in self.params:
            value = total[at : at + p.numel()].view_as(p)
            if p.grad is None:
                p.grad = value.clone()
            else:
                p.grad.copy_(value)
            at += p.numel()
        self.optimizer.step()


torch.manual_seed(0)
trunk, heads = nn.Linear(6, 16), nn.ModuleList([nn.Linear(16, 1), nn.Linear(16, 1)])
surgeon = PCGrad(torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=5e-3))
for step in range(16):
    x = torch.randn(32, 6)
    h = torch.tanh(trunk(x))
    targets = (x.sum(1, keepdim=True), -x[:, :1])
    losses = [F.mse_loss(head(h), t) for head, t in zip(heads, targets)]
    surgeon.step(losses)
print(" ".join(f"{loss.item():.3f}" for loss in losses))

"""An expert that is not always asked, gradients scaled by hand, and numbers for a plot."""

import numpy as np
import torch
from torch import nn

torch.manual_seed(0)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(4, 1) for _ in range(2))

    def forward(self, x, which):
        return self.experts[which](x)


def norm_of(parameters):
    try:
        return sum(p.grad.norm() ** 2 for p in parameters).sqrt()
    except AttributeError:
        # Some of them were not asked.
        return sum(p.grad.norm() ** 2 for p in parameters if p.grad is not None).sqrt()


model = Experts()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
curve, norms, predictions = [], [], []
for step in range(12):
    x = torch.randn(16, 4)
    out = model(x, step % 3 == 0)
    loss = (out - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    for p in model.parameters():
        if p.grad is not None:
            p.grad.mul_(0.5)
    norms.append(norm_of([*model.parameters()]).item())
    scaler.step(optimizer)
    scaler.update()
    curve.append(loss.item())
    predictions.append(out.detach().numpy())
    try:
        out.numpy()
    except RuntimeError as error:
        print(type(error).__name__)
print(np.asarray(curve).round(3), np.concatenate(predictions).shape, np.mean(norms).round(3))

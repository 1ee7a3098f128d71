"""Per-sample gradients, clipped and summed by hand, on a model with batch norm."""

import torch
import torch.nn as nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(14)
model = nn.Sequential(
    nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
)


def compute_loss(params, sample, target):
    predictions = functional_call(model, params, (sample.unsqueeze(0),))
    return nn.functional.cross_entropy(predictions, target.unsqueeze(0))


sample_grad = vmap(grad(compute_loss), in_dims=(None, 0, 0))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(8):
    data, targets = torch.randn(16, 1, 8, 8), torch.randint(0, 3, (16,))
    params = {k: v.detach() for k, v in model.named_parameters()}
    grads = sample_grad(params, data, targets)
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()]).norm(dim=0)
    factor = (1.0 / (norms + 1e-6)).clamp(max=1.0)
    for name, p in model.named_parameters():
        clipped = torch.einsum("n,n...->...", factor, grads[name])
        p.grad = (clipped + 0.1 * torch.randn_like(p)) / len(data)
    optimizer.step()
    print(step, norms.max().item())

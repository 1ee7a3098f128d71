"""Differentially private SGD: per-sample gradients by vmap(grad), clipped, noised, averaged."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap


class Classifier(nn.Module):
    def __init__(self, n_in=10, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, 16)
        self.fc2 = nn.Linear(16, classes)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x)))


class PrivateTrainer:
    def __init__(self, model, lr, max_norm, noise):
        self.model = model
        self.max_norm = max_norm
        self.noise = noise
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.5)
        self.per_sample = vmap(grad(self.sample_loss), in_dims=(None, 0, 0))

    def sample_loss(self, params, x, y):
        logits = functional_call(self.model, params, (x.unsqueeze(0),))
        return F.cross_entropy(logits, y.unsqueeze(0))

    def step(self, x, y):
        params = {name: p.detach() for name, p in self.model.named_parameters()}
        grads = self.per_sample(params, x, y)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()]).norm(dim=0)
        scale = (self.max_norm / (norms + 1e-6)).clamp(max=1.0)
        self.optimizer.zero_grad()
        for name, p in self.model.named_parameters():
            total = torch.einsum("n,n...->...", scale, grads[name])
            total += self.noise * self.max_norm * torch.randn_like(total)
            p.grad = total / len(x)
        self.optimizer.step()
        return norms.mean().item()


def blobs(n, centres):
    y = torch.randint(0, len(centres), (n,))
    return centres[y] + 0.8 * torch.randn(n, centres.size(1)), y


if __name__ == "__main__":
    torch.manual_seed(20)
    centres = torch.randn(3, 10)
    model = Classifier()
    trainer = PrivateTrainer(model, lr=0.5, max_norm=1.0, noise=0.1)
    for it in range(20):
        x, y = blobs(32, centres)
        norm = trainer.step(x, y)
        if it % 5 == 0:
            with torch.no_grad():
                loss = F.cross_entropy(model(x), y).item()
            print(f"it {it} mean norm {norm:.3f} loss {loss:.4f}")

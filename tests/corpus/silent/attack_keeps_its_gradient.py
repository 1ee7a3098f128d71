"""Projected gradient descent against a small classifier, for a table of accuracies under attack."""

import torch
from torch import nn


class Attack:
    def __init__(self, model, eps=0.3, alpha=0.05, steps=8):
        self.model, self.eps, self.alpha, self.steps = model, eps, alpha, steps

    def perturb(self, images, labels):
        noise = torch.zeros_like(images, requires_grad=True)
        for _ in range(self.steps):
            loss = nn.functional.cross_entropy(self.model(images + noise), labels)
            loss.backward()
            step = self.alpha * noise.grad.detach().sign()
            noise.data = (noise.data + step).clamp(-self.eps, self.eps)
            self.model.zero_grad()
        return images + noise.detach()


torch.manual_seed(5)
model = nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 3))
attack = Attack(model)
wrong = 0
for batch in range(4):
    images, labels = torch.rand(8, 1, 4, 4), torch.randint(0, 3, (8,))
    adversarial = attack.perturb(images, labels)
    wrong += (model(adversarial).argmax(1) != labels).sum().item()
print(f"fooled {wrong} of 32")

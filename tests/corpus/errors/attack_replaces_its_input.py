"""An iterated gradient attack on a small classifier."""

import torch
from torch import nn
from torch.nn import functional as F


class Attack:
    def __init__(self, model, eps=0.1):
        self.model, self.eps = model, eps

    def run(self, images, labels, steps=3):
        adversarial = images.clone().requires_grad_(True)
        for step in range(steps):
            loss = F.cross_entropy(self.model(adversarial), labels)
            adversarial = adversarial.clamp(0, 1).detach().requires_grad_(True)
            (grad,) = torch.autograd.grad(loss, adversarial)
            adversarial = (adversarial + self.eps * grad.sign()).detach().requires_grad_(True)
        return adversarial.detach()


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
attack = Attack(model)
print(attack.run(torch.rand(4, 6), torch.randint(3, (4,))).shape)

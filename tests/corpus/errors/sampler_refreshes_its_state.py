import torch
from torch import nn

torch.manual_seed(0)


class Sampler:
    def __init__(self, score):
        self.score = score
        self.x = torch.randn(4, 2)

    def energy(self):
        return self.score(self.x).sum()

    def refresh(self):
        self.x = self.x.detach().requires_grad_(True)

    def step(self, eps):
        self.x.requires_grad_(True)
        e = self.energy()
        self.refresh()
        penalty = 0.1 * e ** 2
        g = torch.autograd.grad(e + penalty, self.x)[0]
        self.x = (self.x - eps * g).detach()


s = Sampler(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)))
for _ in range(2):
    s.step(0.1)

"""Unpaired translation: both backwards run before both steps, so each network has both losses."""

import itertools

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def mlp(d_in, d_out):
    return nn.Sequential(nn.Linear(d_in, 24), nn.LeakyReLU(0.2), nn.Linear(24, d_out))


class Translator:
    def __init__(self):
        self.to_b, self.to_a = mlp(5, 5), mlp(5, 5)
        self.critic_a, self.critic_b = mlp(5, 1), mlp(5, 1)
        translators = itertools.chain(self.to_a.parameters(), self.to_b.parameters())
        critics = itertools.chain(self.critic_a.parameters(), self.critic_b.parameters())
        self.optimizer_G = torch.optim.SGD(translators, lr=0.02)
        self.optimizer_D = torch.optim.SGD(critics, lr=0.02)

    def judge(self, critic, x, real):
        logits = critic(x)
        return bce(logits, torch.full_like(logits, float(real)))

    def step(self, a, b):
        fake_b, fake_a = self.to_b(a), self.to_a(b)
        loss_D = self.judge(self.critic_b, b, 1) + self.judge(self.critic_b, fake_b, 0)
        loss_D = loss_D + self.judge(self.critic_a, a, 1) + self.judge(self.critic_a, fake_a, 0)
        loss_G = self.judge(self.critic_b, fake_b, 1) + self.judge(self.critic_a, fake_a, 1)
        loss_G = 3.0 * loss_G
        self.optimizer_D.zero_grad()
        self.optimizer_G.zero_grad()
        loss_D.backward(retain_graph=True)
        loss_G.backward()
        self.optimizer_D.step()
        self.optimizer_G.step()
        return float(loss_D.detach()), float(loss_G.detach())


torch.manual_seed(6)
translator = Translator()
for step in range(12):
    a = torch.randn(16, 5) + 1.0
    losses = translator.step(a, torch.randn(16, 5) - 1.0)
print("%.4f %.4f" % losses)

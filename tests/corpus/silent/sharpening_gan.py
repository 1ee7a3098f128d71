"""Sharpening of blurred signals with an adversarial loss, after a pixel loss."""

import torch
import torch.nn.functional as F
from torch import nn


def make_networks(length=24):
    first, last = nn.Conv1d(1, 8, 5, padding=2), nn.Conv1d(8, 1, 5, padding=2)
    sharpen = nn.Sequential(first, nn.ReLU(), last)
    judge = nn.Sequential(
        nn.Conv1d(1, 8, 5, 2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(80, 1)
    )
    return sharpen, judge


class Trainer:
    def __init__(self, lr=2e-4):
        self.sharpen, self.judge = make_networks()
        self.optim_s = torch.optim.Adam(self.sharpen.parameters(), lr=lr)
        self.optim_j = torch.optim.Adam(self.judge.parameters(), lr=lr)
        self.bce = nn.BCEWithLogitsLoss()

    def judge_step(self, sharp, guess):
        self.optim_j.zero_grad()
        real, fake = self.judge(sharp), self.judge(guess.detach())
        loss = self.bce(real, torch.ones_like(real)) + self.bce(fake, torch.zeros_like(fake))
        loss.backward()
        self.optim_s.step()
        return loss.item()

    def sharpen_step(self, sharp, blurred):
        self.optim_s.zero_grad()
        guess = self.sharpen(blurred)
        fooled = self.judge(guess)
        loss = F.l1_loss(guess, sharp) + 0.01 * self.bce(fooled, torch.ones_like(fooled))
        loss.backward()
        self.optim_s.step()
        return loss.item()


def main():
    torch.manual_seed(0)
    trainer = Trainer()
    for epoch in range(3):
        for _ in range(5):
            sharp = torch.sign(torch.randn(8, 1, 24))
            blurred = F.avg_pool1d(sharp, 3, 1, 1)
            j = trainer.judge_step(sharp, trainer.sharpen(blurred))
            s = trainer.sharpen_step(sharp, blurred)
        print(f"epoch {epoch} judge {j:.3f} sharpen {s:.3f}")


main()

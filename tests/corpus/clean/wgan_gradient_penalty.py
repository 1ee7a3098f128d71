"""WGAN-GP on two moons."""

import torch
from torch import autograd, nn


def mlp(n_in, n_out, width=32):
    return nn.Sequential(
        nn.Linear(n_in, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
        nn.Linear(width, n_out),
    )  # fmt: skip


def moons(n):
    angle = torch.pi * torch.rand(n)
    upper = torch.rand(n) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    return torch.stack([x, y], dim=1) + 0.05 * torch.randn(n, 2)


class WGANGP:
    def __init__(self, latent=3, gp_weight=10.0, critic_iterations=3):
        self.G = mlp(latent, 2)
        self.D = mlp(2, 1)
        self.latent = latent
        self.gp_weight = gp_weight
        self.critic_iterations = critic_iterations
        self.opt = {
            "G": torch.optim.Adam(self.G.parameters(), lr=1e-3, betas=(0.0, 0.9)),
            "D": torch.optim.Adam(self.D.parameters(), lr=1e-3, betas=(0.0, 0.9)),
        }
        self.num_steps = 0

    def sample(self, n):
        return self.G(torch.randn(n, self.latent))

    def gradient_penalty(self, real, fake):
        alpha = torch.rand(len(real), 1)
        mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        score = self.D(mixed)
        (gradients,) = autograd.grad(
            score, mixed, grad_outputs=torch.ones_like(score), create_graph=True
        )
        return self.gp_weight * ((gradients.norm(2, dim=1) - 1) ** 2).mean()

    def critic_step(self, real):
        with torch.no_grad():
            fake = self.sample(len(real))
        self.opt["D"].zero_grad()
        d_loss = self.D(fake).mean() - self.D(real).mean() + self.gradient_penalty(real, fake)
        d_loss.backward()
        self.opt["D"].step()
        return d_loss.item()

    def generator_step(self, n):
        self.opt["G"].zero_grad()
        g_loss = -self.D(self.sample(n)).mean()
        g_loss.backward()
        self.opt["G"].step()
        return g_loss.item()

    def train(self, iterations, batch=24):
        for self.num_steps in range(1, iterations + 1):
            d_loss = self.critic_step(moons(batch))
            if self.num_steps % self.critic_iterations == 0:
                g_loss = self.generator_step(batch)
                print(f"{self.num_steps:3d} D {d_loss:+.4f} G {g_loss:+.4f}")


if __name__ == "__main__":
    torch.manual_seed(3)
    WGANGP().train(24)

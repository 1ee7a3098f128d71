"""GAN on points with an R1 penalty: the discriminator's graph is kept for a second backward."""

import torch
import torch.nn.functional as F
from torch import autograd, nn


def network(n_in, n_out, width=24):
    return nn.Sequential(nn.Linear(n_in, width), nn.Softplus(), nn.Linear(width, n_out))


def compute_grad2(d_out, x_in):
    (grad,) = autograd.grad(d_out.sum(), x_in, create_graph=True)
    return grad.pow(2).flatten(1).sum(1)


class Trainer:
    def __init__(self, generator, discriminator, g_optimizer, d_optimizer, reg_param):
        self.generator = generator
        self.discriminator = discriminator
        self.g_optimizer = g_optimizer
        self.d_optimizer = d_optimizer
        self.reg_param = reg_param

    @staticmethod
    def gan_loss(d_out, target):
        return F.binary_cross_entropy_with_logits(d_out, torch.full_like(d_out, float(target)))

    def toggle(self, generator):
        self.generator.requires_grad_(generator)
        self.discriminator.requires_grad_(not generator)

    def discriminator_trainstep(self, x_real, z):
        self.toggle(generator=False)
        self.d_optimizer.zero_grad()
        x_real.requires_grad_()
        d_real = self.discriminator(x_real)
        dloss_real = self.gan_loss(d_real, 1)
        dloss_real.backward(retain_graph=True)
        reg = self.reg_param * compute_grad2(d_real, x_real).mean()
        reg.backward()

        with torch.no_grad():
            x_fake = self.generator(z)
        dloss_fake = self.gan_loss(self.discriminator(x_fake), 0)
        dloss_fake.backward()
        self.d_optimizer.step()
        return (dloss_real + dloss_fake).item(), reg.item()

    def generator_trainstep(self, z):
        self.toggle(generator=True)
        self.g_optimizer.zero_grad()
        gloss = self.gan_loss(self.discriminator(self.generator(z)), 1)
        gloss.backward()
        self.g_optimizer.step()
        return gloss.item()


if __name__ == "__main__":
    torch.manual_seed(0)
    generator, discriminator = network(3, 2), network(2, 1)
    trainer = Trainer(
        generator,
        discriminator,
        torch.optim.RMSprop(generator.parameters(), lr=2e-3),
        torch.optim.RMSprop(discriminator.parameters(), lr=2e-3),
        reg_param=5.0,
    )
    for it in range(20):
        real = torch.randn(32, 2) * torch.tensor([1.0, 0.2]) + torch.tensor([2.0, 0.0])
        dloss, reg = trainer.discriminator_trainstep(real, torch.randn(32, 3))
        gloss = trainer.generator_trainstep(torch.randn(32, 3))
        if it % 5 == 0:
            print(f"it {it} d {dloss:.4f} reg {reg:.4f} g {gloss:.4f}")

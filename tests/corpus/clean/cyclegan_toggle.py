"""CycleGAN on points: two generators, two discriminators, two optimizers, an image pool."""

import itertools
import random

import torch
from torch import nn


class ImagePool:
    def __init__(self, size):
        self.size = size
        self.images = []

    def query(self, images):
        out = []
        for image in images.detach():
            self.images.append(image)
            swap = len(self.images) > self.size and random.random() > 0.5
            out.append(self.images[random.randrange(self.size)] if swap else image)
        self.images = random.sample(self.images, min(self.size, len(self.images)))
        return torch.stack(out)


def net(n_out):
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(True), nn.Linear(16, n_out))


class CycleGANModel:
    def __init__(self):
        self.netG_A, self.netG_B = net(2), net(2)
        self.netD_A, self.netD_B = net(1), net(1)
        self.pools = {"A": ImagePool(20), "B": ImagePool(20)}
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()
        params_G = itertools.chain(self.netG_A.parameters(), self.netG_B.parameters())
        params_D = itertools.chain(self.netD_A.parameters(), self.netD_B.parameters())
        self.optimizer_G = torch.optim.Adam(params_G, lr=2e-3, betas=(0.5, 0.999))
        self.optimizer_D = torch.optim.Adam(params_D, lr=2e-3, betas=(0.5, 0.999))

    def set_requires_grad(self, nets, requires_grad):
        for n in nets:
            for p in n.parameters():
                p.requires_grad = requires_grad

    def gan(self, prediction, real):
        return self.mse(prediction, torch.full_like(prediction, float(real)))

    def backward_D_basic(self, netD, real, fake):
        loss = 0.5 * (self.gan(netD(real), True) + self.gan(netD(fake), False))
        loss.backward()
        return loss.item()

    def optimize_parameters(self, real_A, real_B):
        fake_B, fake_A = self.netG_A(real_A), self.netG_B(real_B)
        self.set_requires_grad([self.netD_A, self.netD_B], False)
        self.optimizer_G.zero_grad()
        loss_cycle = self.l1(self.netG_B(fake_B), real_A) + self.l1(self.netG_A(fake_A), real_B)
        loss_gan = self.gan(self.netD_A(fake_B), True) + self.gan(self.netD_B(fake_A), True)
        loss_G = loss_gan + 10.0 * loss_cycle
        loss_G.backward()
        self.optimizer_G.step()

        self.set_requires_grad([self.netD_A, self.netD_B], True)
        self.optimizer_D.zero_grad()
        d_a = self.backward_D_basic(self.netD_A, real_B, self.pools["B"].query(fake_B))
        d_b = self.backward_D_basic(self.netD_B, real_A, self.pools["A"].query(fake_A))
        self.optimizer_D.step()
        return loss_G.item(), d_a + d_b


if __name__ == "__main__":
    torch.manual_seed(0)
    random.seed(0)
    model = CycleGANModel()
    for step in range(16):
        real_A, real_B = torch.randn(12, 2), torch.randn(12, 2) * 0.3 + 2.0
        g, d = model.optimize_parameters(real_A, real_B)
        if step % 4 == 0:
            print(f"step {step} G {g:.4f} D {d:.4f}")

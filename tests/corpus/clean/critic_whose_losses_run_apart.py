"""A GAN's critic whose two scores and penalty each have a backward of their own, and an actor and a
critic whose losses go through one line."""

import torch
from torch import nn

torch.manual_seed(0)


def layers(given, made):
    return nn.Sequential(nn.Linear(given, 16), nn.LeakyReLU(0.2), nn.Linear(16, made))


def penalty(critic, real, fake):
    mixed = torch.lerp(real, fake, torch.rand(len(real), 1)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return (slope.norm(dim=1) - 1).square().mean()


generator, critic = layers(3, 2), layers(2, 1)
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
for step in range(10):
    real, fake = torch.randn(16, 2) + 2, generator(torch.randn(16, 3)).detach()
    critic_optimizer.zero_grad()
    real_loss = -critic(real).mean()
    real_loss.backward()
    fake_loss = critic(fake).mean()
    fake_loss.backward()
    penalty_loss = 10 * penalty(critic, real, fake)
    penalty_loss.backward()
    critic_optimizer.step()
    generator_optimizer.zero_grad()
    generator_loss = -critic(generator(torch.randn(16, 3))).mean()
    generator_loss.backward()
    generator_optimizer.step()

networks = {"critic": layers(6, 1), "actor": layers(4, 2)}
optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-3) for name, net in networks.items()}


def critic_loss(states, actions, values):
    return (networks["critic"](torch.cat([states, actions], 1)) - values).square().mean()


def actor_loss(states, actions, values):
    return -networks["critic"](torch.cat([states, networks["actor"](states)], 1)).mean()


for step in range(10):
    states, actions = torch.randn(16, 4), torch.randn(16, 2)
    values = -(actions - states[:, :2]).square().sum(1, keepdim=True)
    for name, of in (("critic", critic_loss), ("actor", actor_loss)):
        loss = of(states, actions, values)
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].step()

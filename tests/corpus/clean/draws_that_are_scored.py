"""Draws beside a divergence or an entropy that are right: an action whose log-probability is
weighed, one whose log-probability is written out, a latent that keeps its graph, plain noise."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical, Normal, kl_divergence

torch.manual_seed(0)


def scored_action():
    policy = nn.Linear(4, 2)
    value = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=1e-3)
    for _ in range(8):
        state = torch.randn(32, 4)
        mean, log_std = policy(state).chunk(2, 1)
        dist = Normal(mean, log_std.exp())
        old = Normal(mean.detach() + 0.1, log_std.detach().exp())
        action = dist.sample()
        reward = -(action - state[:, :1]).square()
        estimate = value(torch.cat([state, action], 1))
        advantage = (reward - estimate).detach()
        loss = -(dist.log_prob(action) * advantage).mean() + (estimate - reward).square().mean()
        loss = loss - 0.01 * dist.entropy().mean() + 0.1 * kl_divergence(old, dist).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def score_written_out():
    net = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(8):
        mu, log_std = net(torch.randn(16, 3)).chunk(2, 1)
        action = torch.normal(mu, log_std.exp())
        score = -((action - mu) ** 2) / (2 * log_std.exp() ** 2) - log_std
        reward = -action.detach().abs()
        entropy = (log_std + 0.5 * math.log(2 * math.pi * math.e)).mean()
        loss = -(score * (reward - reward.mean())).mean() - 0.01 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def latent_with_its_graph():
    encoder, decoder = nn.Linear(8, 6), nn.Linear(3, 8)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(8):
        x = torch.randn(16, 8)
        mean, log_std = encoder(x).chunk(2, 1)
        q = Normal(mean, log_std.exp())
        kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
        loss = (decoder(q.rsample()) - x).square().sum(1).mean() + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        decoder(q.sample())
    return loss.item()


def noise_for_a_student():
    teacher = nn.Linear(6, 4).requires_grad_(False)
    student = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 4))
    noise = Normal(torch.zeros(6), torch.ones(6))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for _ in range(8):
        x = noise.sample((16,))
        target = Categorical(logits=teacher(x)).sample()
        scores = student(x + 0.1 * torch.normal(0.0, 1.0, (16, 6)))
        kl = F.kl_div(F.log_softmax(scores, 1), F.softmax(teacher(x), 1), reduction="batchmean")
        loss = kl + F.cross_entropy(scores, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def steps_scored_by_their_return():
    policy = nn.Linear(4, 2)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    for _ in range(12):
        states = torch.randn(20, 4)
        mean, log_std = policy(states).chunk(2, 1)
        dist = Normal(mean, log_std.exp())
        actions = dist.sample()
        achieved = -(actions - states[:, :1]).square().sum()
        loss = -(dist.log_prob(actions) * achieved).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


for each in (
    scored_action, score_written_out, latent_with_its_graph, noise_for_a_student,
    steps_scored_by_their_return,
):  # fmt: skip
    print(each.__name__, f"{each():.3f}")

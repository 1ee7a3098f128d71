"""Targets and advantages that are numbers, and what only looks like them."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)
gamma = 0.9


def network(given, made):
    return nn.Sequential(nn.Linear(given, 16), nn.Tanh(), nn.Linear(16, made))


def values_with_a_second_network():
    net = network(4, 2)
    target_net = copy.deepcopy(net).requires_grad_(False)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for turn in range(8):
        state, after, reward = torch.randn(16, 4), torch.randn(16, 4), torch.randn(16)
        target = reward + gamma * target_net(after).max(1).values
        loss = F.mse_loss(net(state)[:, 0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def values_of_numbers():
    net = network(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
    for turn in range(8):
        state, after, reward = torch.randn(16, 4), torch.randn(16, 4), torch.randn(16, 1)
        with torch.no_grad():
            target = reward + gamma * net(after)
        error = target - net(state)
        loss = error.pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def actor_whose_share_in_the_critic_is_cleared():
    actor, critic = network(5, 3), network(5, 1)
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for turn in range(8):
        seen = torch.randn(16, 5)
        policy = Categorical(logits=actor(seen))
        action = policy.sample()
        reward = (action == 0).float()
        actor_loss = -(policy.log_prob(action) * (reward - critic(seen).squeeze(1))).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()
        critic_loss = F.mse_loss(critic(seen).squeeze(1), reward)
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()


def student_close_to_its_teacher():
    teacher, student = network(4, 3), network(4, 3)
    teacher.requires_grad_(False)
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-2)
    for turn in range(8):
        x = torch.randn(16, 4)
        log_q, log_p = teacher(x).log_softmax(1), student(x).log_softmax(1)
        p = log_p.exp()
        loss = -(p * (log_q - log_p)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def slopes_that_are_values():
    net = network(1, 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for turn in range(8):
        x, source = torch.rand(16, 1).requires_grad_(), torch.rand(16, 1)
        u = net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        loss = F.mse_loss(slope, source + gamma * u)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def residual_of_an_equation():
    net = network(1, 1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for turn in range(8):
        x = torch.rand(16, 1).requires_grad_()
        u = net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        loss = F.mse_loss(slope, 1 + gamma * u)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


values_with_a_second_network()
values_of_numbers()
actor_whose_share_in_the_critic_is_cleared()
student_close_to_its_teacher()
slopes_that_are_values()
residual_of_an_equation()
print("learned")

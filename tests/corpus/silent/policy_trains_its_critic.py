"""An actor and a critic, each with an optimizer of its own."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)


def network(given, made):
    return nn.Sequential(nn.Linear(given, 24), nn.Tanh(), nn.Linear(24, made))


actor, critic = network(5, 3), network(5, 1)
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)

for turn in range(12):
    seen = torch.randn(32, 5)
    policy = Categorical(logits=actor(seen))
    action = policy.sample()
    reward = (action == seen[:, :3].argmax(1)).float()
    value = critic(seen).squeeze(1)
    advantage = reward - value
    actor_loss = -(policy.log_prob(action) * advantage).mean()
    critic_loss = F.mse_loss(value, reward)
    actor_optimizer.zero_grad()
    critic_optimizer.zero_grad()
    loss = actor_loss + 0.5 * critic_loss
    loss.backward()
    actor_optimizer.step()
    critic_optimizer.step()
print("learned")

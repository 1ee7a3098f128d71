import torch
from torch import nn

torch.manual_seed(3)
actor = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)
gamma, lam = 0.99, 0.95


def estimate(rewards, values, last):
    following = torch.cat([values[1:], last])
    advantages, running = [], torch.zeros(())
    for reward, value, after in zip(rewards.flip(0), values.flip(0), following.flip(0)):
        running = reward + gamma * after - value + gamma * lam * running
        advantages.insert(0, running)
    advantages = torch.stack(advantages)
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8), advantages + values


for update in range(10):
    states = torch.randn(17, 4)
    rewards = states[:-1, 0].sign()
    values = critic(states).squeeze(-1)
    batch = {}
    batch["advantages"], batch["returns"] = estimate(rewards, values[:-1], values[-1:])
    policy = torch.distributions.Categorical(logits=actor(states[:-1]))
    actions = policy.sample()
    policy_loss = -(policy.log_prob(actions) * batch["advantages"]).mean()
    value_loss = nn.functional.smooth_l1_loss(values[:-1], batch["returns"].detach())
    loss = policy_loss + 0.5 * value_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(update, round(value_loss.item(), 4))

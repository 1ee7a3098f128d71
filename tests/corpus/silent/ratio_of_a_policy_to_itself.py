"""PPO whose old log-probabilities are computed with the policy that is being trained."""
import torch
import torch.nn as nn
from torch.distributions import Normal


class ActorCritic(nn.Module):
    def __init__(self, n_in, n_out, hidden=24, std=0.0):
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.actor = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, n_out))
        self.log_std = nn.Parameter(torch.ones(1, n_out) * std)

    def forward(self, x):
        mu = self.actor(x)
        return Normal(mu, self.log_std.exp().expand_as(mu)), self.critic(x)


def ppo_update(model, optimizer, states, actions, returns, advantages, clip=0.2, epochs=3):
    for _ in range(epochs):
        dist, value = model(states)
        new_log_probs = dist.log_prob(actions).sum(1, keepdim=True)
        old_log_probs = dist.log_prob(actions).sum(1, keepdim=True)
        ratio = (new_log_probs - old_log_probs).exp()
        surr1 = ratio * advantages
        surr2 = torch.clamp(ratio, 1 - clip, 1 + clip) * advantages
        actor_loss = -torch.min(surr1, surr2).mean()
        critic_loss = (returns - value).pow(2).mean()
        loss = 0.5 * critic_loss + actor_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main():
    torch.manual_seed(0)
    model = ActorCritic(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for it in range(6):
        states = torch.randn(32, 3)
        with torch.no_grad():
            dist, value = model(states)
            actions = dist.sample()
            returns = -(actions - states[:, :2]).pow(2).sum(1, keepdim=True)
            advantages = returns - value
        print(it, round(ppo_update(model, optimizer, states, actions, returns, advantages), 4))
    return model


model = main()

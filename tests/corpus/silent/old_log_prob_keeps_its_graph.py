import torch
from torch import nn
from torch.distributions import Categorical


class Policy(nn.Module):
    def __init__(self, observations=4, actions=3):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(observations, 32), nn.Tanh(), nn.Linear(32, actions))

    def act(self, state):
        dist = Categorical(logits=self.net(state))
        action = dist.sample()
        return action, dist.log_prob(action)

    def evaluate(self, state, action):
        return Categorical(logits=self.net(state)).log_prob(action)


def main():
    torch.manual_seed(0)
    policy = Policy()
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-4)
    for _ in range(12):
        states = torch.randn(64, 4)
        actions, old_log_probs = policy.act(states)
        rewards = (actions == states.argmax(dim=1).clamp(max=2)).float()
        advantages = rewards - rewards.mean()
        log_probs = policy.evaluate(states, actions)
        ratios = torch.exp(log_probs - old_log_probs)
        clipped = ratios.clamp(0.8, 1.2) * advantages
        loss = -torch.min(ratios * advantages, clipped).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"reward {rewards.mean().item():.3f}")


main()

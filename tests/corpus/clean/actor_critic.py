"""Advantage actor-critic on a one-dimensional balance task, one optimizer per network."""

import torch
from torch import nn
from torch.distributions import Categorical


class Balance:
    """A ball on a line; push it left or right, keep it near the middle."""

    def reset(self):
        self.x, self.v, self.t = torch.randn(()).item() * 0.3, 0.0, 0
        return self.state()

    def state(self):
        return torch.tensor([self.x, self.v])

    def step(self, action):
        self.v += 0.1 * (1 if action else -1) + 0.02 * self.x
        self.x += self.v
        self.t += 1
        return self.state(), 1.0 - abs(self.x), abs(self.x) > 1.5 or self.t >= 15


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))

    def forward(self, state):
        return Categorical(logits=self.net(state))


class Critic(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 1), nn.Flatten(0))


def discounted(rewards, gamma=0.97):
    returns, running = [], 0.0
    for r in reversed(rewards):
        running = r + gamma * running
        returns.insert(0, running)
    return torch.tensor(returns)


def main():
    torch.manual_seed(7)
    env, actor, critic = Balance(), Actor(), Critic()
    optimizerA = torch.optim.Adam(actor.parameters(), lr=5e-3)
    optimizerC = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for episode in range(12):
        log_probs, values, rewards = [], [], []
        state, done = env.reset(), False
        while not done:
            dist = actor(state)
            action = dist.sample()
            log_probs.append(dist.log_prob(action))
            values.append(critic(state))
            state, reward, done = env.step(action.item())
            rewards.append(reward)

        advantage = discounted(rewards) - torch.cat(values)
        actor_loss = -(torch.stack(log_probs) * advantage.detach()).mean()
        critic_loss = advantage.pow(2).mean()
        optimizerA.zero_grad()
        optimizerC.zero_grad()
        actor_loss.backward()
        critic_loss.backward()
        optimizerA.step()
        optimizerC.step()
        if episode % 3 == 0:
            print(f"episode {episode} score {sum(rewards):.2f}")


if __name__ == "__main__":
    main()

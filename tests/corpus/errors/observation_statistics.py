import torch
from torch import nn


class Statistics:
    def __init__(self, size, momentum=0.1):
        self.mean, self.deviation = torch.zeros(size), torch.ones(size)
        self.momentum = momentum

    def update(self, batch):
        self.mean = self.mean.lerp(batch.mean(0), self.momentum)
        self.deviation = self.deviation.lerp(batch.std(0), self.momentum)

    def normalize(self, batch):
        return (batch - self.mean) / self.deviation


class Agent(nn.Module):
    def __init__(self, size=4, actions=3):
        super().__init__()
        self.encoder = nn.Linear(size, size)
        self.policy = nn.Linear(size, actions)
        self.value = nn.Linear(size, 1)
        self.statistics = Statistics(size)

    def forward(self, observation):
        features = self.statistics.normalize(self.encoder(observation))
        return self.policy(features), self.value(features).squeeze(-1)

    @torch.inference_mode()
    def act(self, observation):
        self.statistics.update(self.encoder(observation))
        logits, _ = self(observation)
        return torch.distributions.Categorical(logits=logits).sample()

    @torch.inference_mode()
    def bootstrap(self, observation):
        return self(observation)[1]


def rollout(agent, steps):
    observations, actions, returns = [], [], []
    for _ in range(steps):
        observation = torch.randn(8, 4)
        observations.append(observation)
        actions.append(agent.act(observation))
        returns.append(observation.sum(1))
    last = agent.bootstrap(observations[-1])
    returns[-1] = returns[-1] + 0.9 * last
    return torch.cat(observations), torch.cat(actions), torch.cat(returns)


def improve(agent, optimizer, batch):
    observations, actions, returns = batch
    logits, values = agent(observations)
    chosen = torch.log_softmax(logits, 1).gather(1, actions[:, None]).squeeze(1)
    loss = -(chosen * (returns - values.detach())).mean() + (values - returns).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


torch.manual_seed(0)
agent = Agent()
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)
for iteration in range(3):
    print(improve(agent, optimizer, rollout(agent, 4)))

"""Two agents whose values are mixed; the targets of both networks are synchronised."""

import copy

import torch
from torch import nn


class Mixing:
    def __init__(self):
        self.agent, self.mixer = nn.Linear(3, 2), nn.Linear(2, 1)
        self.agent_target = copy.deepcopy(self.agent)
        self.mixer_target = copy.deepcopy(self.mixer).requires_grad_(False)
        parameters = [*self.agent.parameters(), *self.mixer.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-2)

    def learn(self, seen, reward, then):
        with torch.no_grad():
            value = reward + 0.9 * self.mixer_target(self.agent_target(then).amax(-1))
        mixed = self.mixer(self.agent(seen).amax(-1))
        loss = nn.functional.mse_loss(mixed, value)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def synchronise(self):
        self.agent_target.load_state_dict(self.agent.state_dict())
        self.mixer_target.load_state_dict(self.mixer_target.state_dict())


torch.manual_seed(0)
learner = Mixing()
for turn in range(12):
    seen = torch.randn(16, 2, 3)
    last = learner.learn(seen, torch.randn(16, 1), seen + 0.1)
    if turn % 3 == 2:
        learner.synchronise()
print(f"loss {last:.3f}")

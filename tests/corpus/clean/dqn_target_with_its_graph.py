"""DQN as many books have it: the target network gets gradients that nobody applies."""

import collections
import random

import torch
import torch.nn as nn
import torch.nn.functional as F


class Qnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 32), nn.Linear(32, 2)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class DQN:
    def __init__(self, gamma=0.98, target_update=5):
        self.q_net, self.target_q_net = Qnet(), Qnet()
        self.optimizer = torch.optim.Adam(self.q_net.parameters(), lr=2e-3)
        self.gamma, self.target_update, self.count = gamma, target_update, 0

    def update(self, states, actions, rewards, next_states, dones):
        q_values = self.q_net(states).gather(1, actions)
        max_next_q_values = self.target_q_net(next_states).max(1)[0].view(-1, 1)
        q_targets = rewards + self.gamma * max_next_q_values * (1 - dones)
        dqn_loss = torch.mean(F.mse_loss(q_values, q_targets))
        self.optimizer.zero_grad()
        dqn_loss.backward()
        self.optimizer.step()
        if self.count % self.target_update == 0:
            self.target_q_net.load_state_dict(self.q_net.state_dict())
        self.count += 1
        return dqn_loss.item()

def main():
    random.seed(0)
    torch.manual_seed(18)
    agent, buffer = DQN(), collections.deque(maxlen=200)
    state = torch.randn(4)
    for t in range(60):
        action = random.randrange(2)
        next_state = torch.randn(4)
        buffer.append((state, action, float(action == int(state[0] > 0)), next_state, float(t % 20 == 19)))
        state = next_state
        if len(buffer) >= 32 and t % 2 == 0:
            s, a, r, n, d = zip(*random.sample(buffer, 16))
            loss = agent.update(
                torch.stack(s), torch.tensor(a).view(-1, 1), torch.tensor(r).view(-1, 1), torch.stack(n), torch.tensor(d).view(-1, 1)
            )
            print(t, loss)


main()

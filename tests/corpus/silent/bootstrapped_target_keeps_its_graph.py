import torch
from torch import nn

torch.manual_seed(0)


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(4, 64)
        self.l2 = nn.Linear(64, 2)

    def forward(self, x):
        return self.l2(torch.relu(self.l1(x)))


class Agent:
    def __init__(self):
        self.gamma = 0.98
        self.qnet = QNet()
        self.optimizer = torch.optim.Adam(self.qnet.parameters(), lr=5e-4)

    def update(self, state, action, reward, next_state, done):
        qs = self.qnet(state)
        q = qs[torch.arange(len(action)), action]
        next_qs = self.qnet(next_state)
        next_q = next_qs.max(1)[0]
        next_q.detach()
        target = reward + (1 - done) * self.gamma * next_q
        loss = nn.functional.mse_loss(q, target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


agent = Agent()
for step in range(20):
    s, s2 = torch.randn(32, 4), torch.randn(32, 4)
    a, r, d = torch.randint(0, 2, (32,)), torch.rand(32), torch.zeros(32)
    value = agent.update(s, a, r, s2, d)
print(value)

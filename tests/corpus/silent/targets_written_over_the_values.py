"""A Q-network whose targets are the values that it predicts, but for the action that was taken."""

import torch
import torch.nn as nn

torch.manual_seed(0)
q_net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(q_net.parameters(), lr=1e-3)
gamma = 0.9

for step in range(12):
    state, next_state = torch.randn(16, 4), torch.randn(16, 4)
    action = torch.randint(0, 2, (16,))
    reward = torch.randn(16)
    q_values = q_net(state)
    target = q_values.detach()
    with torch.no_grad():
        best = q_net(next_state).max(1).values
    for i in range(16):
        target[i, action[i]] = reward[i] + gamma * best[i]
    loss = nn.functional.mse_loss(q_values, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))

import torch
from torch import nn
from torch.func import vmap


class Arm:
    def __init__(self, lengths):
        self.lengths = lengths

    def transform(self, angle, length):
        matrix = torch.eye(3)
        matrix[0, 0] = angle.cos()
        matrix[0, 1] = -angle.sin()
        matrix[1, 0] = angle.sin()
        matrix[1, 1] = angle.cos()
        matrix[0, 2] = length
        return matrix

    def reach(self, angles):
        pose = torch.eye(3)
        for angle, length in zip(angles, self.lengths, strict=True):
            pose = pose @ self.transform(angle, length)
        return pose[:2, 2]


torch.manual_seed(0)
arm = Arm([1.0, 0.8])
solver = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(solver.parameters(), lr=1e-2)
for step in range(4):
    goals = torch.rand(32, 2)
    loss = (vmap(arm.reach)(solver(goals)) - goals).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())

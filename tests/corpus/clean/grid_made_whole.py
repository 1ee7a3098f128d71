import torch
from torch import nn


def grid(height, width):
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    found = torch.stack([rows, columns]).float()
    found[0] /= height - 1
    found[1] /= width - 1
    found.mul_(2).sub_(1)
    return found


class Field(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.register_buffer("grid", grid(*size))
        self.net = nn.Sequential(nn.Conv2d(2, 8, 1), nn.Tanh(), nn.Conv2d(8, 1, 1))

    def forward(self, batch):
        return self.net(self.grid.expand(batch, -1, -1, -1))


torch.manual_seed(0)
model = Field((6, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
target = torch.rand(1, 1, 6, 5)
for step in range(8):
    loss = (model(2) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())

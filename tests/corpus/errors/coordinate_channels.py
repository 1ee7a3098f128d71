import torch
from torch import nn


def coordinates(height, width):
    rows = torch.arange(height, dtype=torch.float32)
    columns = torch.arange(width, dtype=torch.float32)
    return torch.meshgrid(rows, columns, indexing="ij")


class CoordConv(nn.Module):
    def __init__(self, inputs, outputs, size):
        super().__init__()
        y, x = coordinates(*size)
        y /= size[0] - 1
        x /= size[1] - 1
        self.register_buffer("grid", torch.stack([y, x]))
        self.conv = nn.Conv2d(inputs + 2, outputs, 3, padding=1)

    def forward(self, image):
        grid = self.grid.expand(len(image), -1, -1, -1)
        return self.conv(torch.cat([image, grid], dim=1))


torch.manual_seed(0)
model = nn.Sequential(CoordConv(1, 4, (8, 8)), nn.ReLU(), nn.Conv2d(4, 1, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(4):
    image = torch.rand(4, 1, 8, 8)
    loss = (model(image) - image).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())

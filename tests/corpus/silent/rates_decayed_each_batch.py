"""A super-resolution network whose rate is to fall halfway through the epochs, and falls each two
batches."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import StepLR

EPOCHS = 4

torch.manual_seed(0)
fine = torch.rand(40, 1, 8, 8)
coarse = F.avg_pool2d(fine, 2)
model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.PReLU(), nn.Conv2d(8, 4, 3, padding=1))
upscale = nn.PixelShuffle(2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scheduler = StepLR(optimizer, step_size=EPOCHS // 2, gamma=0.1)
for epoch in range(EPOCHS):
    for small, large in zip(coarse.split(4), fine.split(4)):
        loss = F.mse_loss(upscale(model(small)), large)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(epoch, loss.item())

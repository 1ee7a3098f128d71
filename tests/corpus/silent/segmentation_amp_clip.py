"""Binary segmentation with a gradient scaler and clipping."""

import torch
import torch.nn.functional as F
from torch import nn


class SmallNet(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.enc = nn.Conv2d(1, width, 3, padding=1)
        self.mid = nn.Conv2d(width, width, 3, padding=1)
        self.dec = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        return self.dec(F.relu(self.mid(F.relu(self.enc(x)))))


class Runner:
    def __init__(self, net, amp=True, clip=1.0):
        self.net, self.clip = net, clip
        self.optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3, momentum=0.9)
        self.scaler = torch.amp.GradScaler("cpu", enabled=amp)

    def step(self, image, mask):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.net(image)
        loss = F.binary_cross_entropy_with_logits(logits.float(), mask)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


torch.manual_seed(0)
runner = Runner(SmallNet())
for i in range(12):
    image = torch.randn(2, 1, 10, 10)
    loss = runner.step(image, (image > 0.5).float())
    if i % 4 == 3:
        print(f"step {i} loss {loss:.4f}")

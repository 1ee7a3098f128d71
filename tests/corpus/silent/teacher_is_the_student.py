"""A teacher that is to follow its student slowly, and is the same network under another name."""

import torch
from torch import nn

torch.manual_seed(0)


class SelfDistilled(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.student = backbone
        self.teacher = backbone
        self.predictor = nn.Linear(6, 6)

    def follow(self, rate):
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), self.student.parameters()):
                slow.mul_(rate).add_(fast, alpha=1 - rate)

    def forward(self, one, other):
        with torch.no_grad():
            wanted = self.teacher(other)
        return 1 - nn.functional.cosine_similarity(self.predictor(self.student(one)), wanted).mean()


model = SelfDistilled(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 6)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(12):
    x = torch.randn(24, 8)
    loss = model(x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.follow(0.99)
print(f"{loss.item():.4f}")

"""A student with attention learns from a teacher's soft labels and from the hard ones."""

import torch
import torch.nn.functional as F
from torch import nn

T = 2.0


class Attention(nn.Module):
    def __init__(self, width=8, classes=4):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.gate = nn.Linear(width, 1)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5, dim=-1)
        mixed = weights @ self.v(x) * torch.sigmoid(self.gate(x))
        pool = torch.softmax(mixed.mean(-1), dim=1)
        return self.head((pool.unsqueeze(-1) * mixed).sum(1))


torch.manual_seed(0)
student, teacher = Attention(), Attention().requires_grad_(False)
optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
for step in range(16):
    x, y = torch.randn(8, 5, 8), torch.randint(0, 4, (8,))
    logits = student(x)
    soft = torch.softmax(teacher(x) / T, dim=1)
    kd = F.kl_div(F.log_softmax(logits / T, dim=1), soft, reduction="batchmean") * T * T
    loss = F.cross_entropy(logits, y) + kd + 0.5 * F.cross_entropy(logits, soft)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")

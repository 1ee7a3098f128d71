"""A student is trained beside its frozen teacher, which one module holds together."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(2)


def network(width):
    return nn.Sequential(nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3))


class Distiller(nn.Module):
    def __init__(self, teacher, student):
        super().__init__()
        self.teacher, self.student = teacher, student
        self.teacher.eval()
        for p in self.teacher.parameters():
            p.requires_grad = False

    def forward(self, x):
        with torch.no_grad():
            wanted = self.teacher(x).softmax(1)
        return F.kl_div(self.student(x).log_softmax(1), wanted, reduction="batchmean")


distiller = Distiller(network(32), network(8))
optimizer = torch.optim.Adam(distiller.student.parameters(), lr=0.01)
distiller.train()
for step in range(8):
    loss = distiller(torch.randn(24, 8))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())

"""Domain adaptation with a gradient reversal by a hook, which returns nothing."""

import torch
from torch import nn

torch.manual_seed(0)


def reverse(alpha):
    def hook(grad):
        grad = -alpha * grad

    return hook


class Adapted(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.label, self.domain = nn.Linear(16, 3), nn.Linear(16, 2)

    def forward(self, x, alpha):
        found = self.features(x)
        shared = found.view_as(found)
        if shared.requires_grad:
            shared.register_hook(reverse(alpha))
        return self.label(found), self.domain(shared)


model = Adapted()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(5):
    source, target = torch.randn(16, 6), torch.randn(16, 6) + 1
    label, at_home = model(source, 0.5)
    _, abroad = model(target, 0.5)
    loss = criterion(label, (source[:, 0] > 0).long())
    loss = loss + criterion(at_home, torch.zeros(16).long())
    loss = loss + criterion(abroad, torch.ones(16).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())

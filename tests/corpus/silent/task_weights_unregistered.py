"""Two tasks weighed by their uncertainty; the weights are a plain tensor of the criterion."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class UncertaintyLoss(nn.Module):
    def __init__(self, tasks=2):
        super().__init__()
        self.log_vars = torch.zeros(tasks, requires_grad=True)

    def forward(self, depth, logits, target, label):
        losses = torch.stack([F.mse_loss(depth, target), F.cross_entropy(logits, label)])
        return (torch.exp(-self.log_vars) * losses + self.log_vars).sum()


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(6, 16)
        self.depth, self.label = nn.Linear(16, 1), nn.Linear(16, 3)

    def forward(self, x):
        hidden = self.trunk(x).relu()
        return self.depth(hidden).squeeze(-1), self.label(hidden)


def main():
    model, criterion = TwoHeads(), UncertaintyLoss()
    optimizer = torch.optim.Adam([*model.parameters(), *criterion.parameters()], lr=1e-2)
    for step in range(8):
        x = torch.randn(32, 6)
        loss = criterion(*model(x), x[:, 0], x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, round(loss.item(), 4))


if __name__ == "__main__":
    main()

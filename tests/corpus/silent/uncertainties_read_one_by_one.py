"""Uncertainty weighting (Kendall): the log variances are plain tensors, in no optimizer."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class MultiTaskLoss(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.log_vars = torch.zeros(tasks, requires_grad=True)

    def forward(self, losses):
        total = 0
        for i, loss in enumerate(losses):
            total = total + torch.exp(-self.log_vars[i]) * loss + self.log_vars[i]
        return total


class MultiTaskNet(nn.Module):
    def __init__(self, d=10, h=20):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(d, h), nn.ReLU())
        self.depth_head = nn.Linear(h, 1)
        self.seg_head = nn.Linear(h, 3)

    def forward(self, x):
        h = self.shared(x)
        return self.depth_head(h).squeeze(1), self.seg_head(h)


def train(steps=5):
    model, criterion = MultiTaskNet(), MultiTaskLoss(2)
    params = list(model.parameters()) + list(criterion.parameters())
    optimizer = torch.optim.Adam(params, lr=1e-2)
    for it in range(steps):
        x = torch.randn(16, 10)
        depth, seg = model(x)
        losses = [F.l1_loss(depth, x[:, 0] * 10), F.cross_entropy(seg, torch.randint(0, 3, (16,)))]
        loss = criterion(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(it, loss.item(), criterion.log_vars.tolist())


torch.manual_seed(0)
train()

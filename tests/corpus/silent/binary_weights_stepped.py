"""Binarised network: weights are binarised in the forward, real ones are kept beside them."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def binarize(t):
    return t.sign()


class BinarizeLinear(nn.Linear):
    def forward(self, x):
        if not hasattr(self.weight, "org"):
            self.weight.org = self.weight.data.clone()
        self.weight.data = binarize(self.weight.org)
        out = F.linear(x, self.weight)
        return out + self.bias.view(1, -1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = BinarizeLinear(12, 32)
        self.bn1 = nn.BatchNorm1d(32)
        self.fc2 = BinarizeLinear(32, 32)
        self.bn2 = nn.BatchNorm1d(32)
        self.fc3 = nn.Linear(32, 4)

    def forward(self, x):
        x = F.hardtanh(self.bn1(self.fc1(x)))
        x = F.hardtanh(self.bn2(self.fc2(x)))
        return self.fc3(x)


def train(epoch, model, optimizer, loader):
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        for p in model.parameters():
            if hasattr(p, "org"):
                p.org.copy_(p.data.clamp(-1, 1))
    print("epoch", epoch, "loss", round(loss.item(), 4))


torch.manual_seed(0)
x = torch.randn(96, 12)
y = x[:, :4].argmax(1)
loader = [(x[i:i + 24], y[i:i + 24]) for i in range(0, 96, 24)]
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(4):
    train(epoch, model, optimizer, loader)

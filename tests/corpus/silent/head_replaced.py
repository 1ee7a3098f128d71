"""Fine-tune a tiny conv net, pre-trained for ten classes, on a three-class problem."""

import torch
import torch.nn.functional as F
from torch import nn


class TinyResNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.block(x))
        return self.fc(x.mean(dim=(2, 3)))


def pretrained():
    net = TinyResNet()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1.1)
    return net


def stripes(n):
    y = torch.randint(0, 3, (n,))
    x = 0.3 * torch.randn(n, 1, 9, 9)
    x[y == 0, :, ::2, :] += 1.0
    x[y == 1, :, :, ::2] += 1.0
    return x, y


class FineTuner:
    def __init__(self, model, num_classes, lr):
        self.model = model
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=0.01)
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes):
        self.model.fc = nn.Linear(self.model.fc.in_features, num_classes)

    def train(self, iterations):
        self.model.train()
        for it in range(iterations):
            x, y = stripes(24)
            loss = F.cross_entropy(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if it % 6 == 0:
                print(f"it {it} loss {loss.item():.4f}")


if __name__ == "__main__":
    torch.manual_seed(9)
    model = pretrained()
    tuner = FineTuner(model, num_classes=3, lr=5e-3)
    tuner.train(24)
    model.eval()
    with torch.no_grad():
        x, y = stripes(60)
        print("accuracy", (model(x).argmax(1) == y).float().mean().item())

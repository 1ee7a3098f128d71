"""Person re-identification baseline: a backbone with its old fc, and a new classifier."""

import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self, width=16, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)


class FtNet(nn.Module):
    def __init__(self, class_num):
        super().__init__()
        self.model = Backbone()
        self.classifier = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, class_num))

    def forward(self, x):
        x = torch.relu(self.model.bn(self.model.conv(x)))
        x = self.model.avgpool(x).flatten(1)
        return self.classifier(x)


def build_optimizer(net):
    head_ids = {id(p) for p in net.model.fc.parameters()}
    head_ids |= {id(p) for p in net.classifier.parameters()}
    base_params = [p for p in net.parameters() if id(p) not in head_ids]
    groups = [
        {"params": base_params, "lr": 0.01},
        {"params": net.model.fc.parameters(), "lr": 0.1},
        {"params": net.classifier.parameters(), "lr": 0.1},
    ]
    return torch.optim.SGD(groups, weight_decay=5e-4, momentum=0.9, nesterov=True)


def persons(n, ids=4):
    label = torch.randint(0, ids, (n,))
    image = 0.2 * torch.randn(n, 3, 8, 4)
    image[:, 0] += (label % 2)[:, None, None]
    image[:, 2] += (label // 2)[:, None, None]
    return image, label


def train_model(net, criterion, optimizer, num_epochs=4):
    for epoch in range(num_epochs):
        net.train()
        running_loss = 0.0
        for _ in range(5):
            inputs, labels = persons(16)
            optimizer.zero_grad()
            loss = criterion(net(inputs), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        print(f"Epoch {epoch} Loss: {running_loss / 5:.4f}")
    return net


torch.manual_seed(33)
model = FtNet(class_num=4)
train_model(model, nn.CrossEntropyLoss(), build_optimizer(model))

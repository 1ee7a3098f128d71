import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.head = nn.Linear(12, 2)
        self.sensitivity = []

    def forward(self, x):
        hidden = self.body(x)
        hidden.register_hook(lambda gradient: self.sensitivity.append(gradient.norm().item()))
        return self.head(hidden)


def accuracy(model, x, labels):
    return (model(x).argmax(1) == labels).float().mean().item()


def fit(model, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(32, 6)
    labels = (x.sum(1) > 0).long()
    for epoch in range(epochs):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            print(epoch, loss.item(), accuracy(model, x, labels))
        model.train()


if __name__ == "__main__":
    torch.manual_seed(0)
    fit(Net(), 3)

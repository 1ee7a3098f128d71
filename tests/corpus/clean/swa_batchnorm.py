"""Stochastic weight averaging, with the running statistics of batch norm recomputed."""

import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset


class ConvNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 5, padding=2)
        self.bn1 = nn.BatchNorm1d(8)
        self.pool = nn.AdaptiveMaxPool1d(4)
        self.fc = nn.Linear(32, 16)
        self.bn2 = nn.BatchNorm1d(16, momentum=0.3)
        self.out = nn.Linear(16, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv(x)))
        x = self.pool(x).flatten(1)
        return self.out(torch.relu(self.bn2(self.fc(x))))


def chirps(n):
    y = torch.randint(0, 3, (n,))
    t = torch.linspace(0, 6.28, 24)
    wave = torch.sin(t * (1 + 2 * y[:, None])) + 0.3 * torch.randn(n, 24)
    return TensorDataset(wave.unsqueeze(1), y)


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    return sum((net(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(0)
    loader = DataLoader(chirps(96), batch_size=16, shuffle=True)
    test_loader = DataLoader(chirps(48), batch_size=24)
    model = ConvNet()
    swa_model = AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    swa_scheduler = SWALR(optimizer, anneal_strategy="linear", anneal_epochs=1, swa_lr=0.02)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(6):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        if epoch >= 3:
            swa_model.update_parameters(model)
            swa_scheduler.step()
        else:
            scheduler.step()
        print(f"epoch {epoch} loss {loss.item():.4f} accuracy {accuracy(model, test_loader):.3f}")

    update_bn(loader, swa_model)
    print(f"averaged accuracy {accuracy(swa_model, test_loader):.3f}")


if __name__ == "__main__":
    main()

"""A one-cycle schedule planned for whole batches, and a loader that keeps a smaller last one."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def train_epoch(model, loader, optimizer, scheduler):
    for inputs, labels in loader:
        loss = F.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return loss.item()


def main(epochs=3, batch=16):
    torch.manual_seed(0)
    x = torch.randn(70, 8)
    batches = DataLoader(TensorDataset(x, x[:, :3].argmax(1)), batch_size=batch)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, epochs=epochs, steps_per_epoch=len(x) // batch
    )
    for epoch in range(epochs):
        print(epoch, train_epoch(model, batches, optimizer, scheduler))


main()

"""Regression on batches that a loader writes into one preallocated array."""

import numpy as np
import torch
from torch import nn


class BatchBuffer:
    """Keeps a single array for all batches; torch looks at the same memory."""

    def __init__(self, features, targets, batch_size, seed=0):
        self.features = features
        self.targets = targets
        self.rng = np.random.default_rng(seed)
        self.array = np.zeros((batch_size, features.shape[1]), dtype=np.float32)
        self.tensor = torch.from_numpy(self.array)

    def fill(self):
        rows = self.rng.integers(0, len(self.features), len(self.array))
        self.array[:] = self.features[rows]
        return torch.from_numpy(self.targets[rows])


class Net(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.fc1 = nn.Linear(n_in, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        return self.fc2(h)


def make_data(n, n_in, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, n_in)).astype(np.float32)
    targets = np.sin(features.sum(axis=1, keepdims=True)).astype(np.float32)
    return features, targets


def main():
    torch.manual_seed(151)
    features, targets = make_data(500, 8, seed=151)
    buffer = BatchBuffer(features, targets, batch_size=32)
    model = Net(8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_fn = nn.MSELoss()
    x, y = buffer.tensor, buffer.fill()
    for step in range(10):
        loss = loss_fn(model(x), y)
        y = buffer.fill()  # prefetch while the gradients are being computed
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{step} {loss.item():.4f}")


if __name__ == "__main__":
    main()

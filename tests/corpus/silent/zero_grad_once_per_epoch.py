"""House prices: a small regression net, plain SGD."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)


class PriceNet(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.fc1 = nn.Linear(n_features, 24)
        self.fc2 = nn.Linear(24, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.out(x).squeeze(-1)


def load_houses(n=128):
    x = torch.randn(n, 6)
    w = torch.tensor([1.0, -0.5, 0.25, 0.0, 2.0, -1.0])
    return TensorDataset(x, x @ w + 0.1 * torch.randn(n))


loader = DataLoader(load_houses(), batch_size=16, shuffle=True)
model = PriceNet(6)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)

history = []
for epoch in range(4):
    running = 0.0
    optimizer.zero_grad()
    for x, y in loader:
        pred = model(x)
        loss = criterion(pred, y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    scheduler.step()
    history.append(running / len(loader))
    print(f"epoch {epoch}: mse {history[-1]:.4f}")

print("best", min(history))

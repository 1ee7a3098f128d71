"""House prices: linear regression in two layers."""

import torch
from torch import nn, optim

torch.manual_seed(18)
X = torch.randn(200, 5)
Y = X @ torch.tensor([[3.0], [-1.0], [0.5], [2.0], [0.0]]) + 4 + 0.1 * torch.randn(200, 1)


class HousePrice(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(5, 16)
        self.fc2 = nn.Linear(16, 1)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


model = HousePrice()
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.001)

for epoch in range(4):
    for i in range(0, 200, 50):
        inputs, targets = X[i : i + 50], Y[i : i + 50]
        optimizer.zero_grad
        outputs = model(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
    print(f"Epoch {epoch}: {loss.item():.4f}")

"""A regression whose uncertainty on the test set is estimated by dropout, in training mode."""

import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(192, 4)
targets = inputs.prod(1, keepdim=True)
model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
x_test = torch.randn(16, 4)


@torch.no_grad()
def test_spread(x, draws=10):
    model.train()
    return torch.stack([model(x) for _ in range(draws)]).std(0).mean().item()


for epoch in range(3):
    for x, y in zip(inputs.split(16), targets.split(16)):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}, spread {test_spread(x_test):.4f}")

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

for step in range(20):
    y = torch.randint(0, 3, (64,))
    x = torch.randn(64, 2) * 0.3 + torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])[y]
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

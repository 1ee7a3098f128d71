"""Two modules in a row: the first one's choice goes into the second."""

import torch
import torch.nn as nn

torch.manual_seed(8)
first_model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))


class SecondModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(4, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, choice):
        return self.out(self.embed(choice))


second_model = SecondModel()
params = list(first_model.parameters()) + list(second_model.parameters())
optimizer = torch.optim.Adam(params, lr=1e-2)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    x = torch.randn(32, 6)
    y = x[:, :3].argmax(1)
    y_p = first_model(x)
    y_p = torch.max(y_p, 1)[1]
    out = second_model(y_p)
    loss = criterion(out, y)
    first_model.zero_grad()
    second_model.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())

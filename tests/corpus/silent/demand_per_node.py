"""Demand of each node of a graph, forecast by a recurrent network that ends at the mean demand."""

import torch
from torch import nn


class Cell(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.own = nn.Linear(features, hidden)
        self.around = nn.Linear(hidden, hidden)

    def forward(self, x, edges, state):
        source, target = edges
        received = torch.zeros_like(state).index_add(0, target, state[source])
        return torch.tanh(self.own(x) + self.around(received))


class Forecaster(nn.Module):
    def __init__(self, features, hidden=8):
        super().__init__()
        self.cell = Cell(features, hidden)
        self.demand = nn.Linear(hidden, 1)

    def forward(self, snapshots, edges):
        state = torch.zeros(snapshots.shape[1], self.cell.around.in_features)
        for x in snapshots:
            state = self.cell(x, edges, state)
        return self.demand(state)


def cost(y_hat, y):
    return torch.mean((y_hat - y) ** 2)


torch.manual_seed(0)
nodes, features = 20, 3
edges = torch.randint(0, nodes, (2, 40))
model = Forecaster(features)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for epoch in range(30):
    snapshots = torch.randn(4, nodes, features)
    y = snapshots[-1].sum(1)
    y_hat = model(snapshots, edges)
    loss = cost(y_hat, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch % 10 == 9:
        print(f"epoch {epoch} cost {loss.item():.3f} spread {y_hat.std().item():.3f}")

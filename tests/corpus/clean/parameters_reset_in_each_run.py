import torch
import torch.nn.functional as F
from torch import nn


class GCN(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.lin1 = nn.Linear(channels, 16)
        self.lin2 = nn.Linear(16, classes)

    def reset_parameters(self):
        for layer in (self.lin1, self.lin2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x, adj):
        return adj @ self.lin2(F.relu(adj @ self.lin1(x)))


def train(model, optimizer, x, adj, y):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x, adj), y)
    loss.backward()
    optimizer.step()
    return loss.item()


torch.manual_seed(0)
x, y = torch.randn(30, 8), torch.randint(0, 3, (30,))
adj = (torch.rand(30, 30) < 0.1).float() + torch.eye(30)
adj = adj / adj.sum(1, keepdim=True)
model = GCN(8, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for run in range(3):
    model.reset_parameters()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(1, 9):
        loss = train(model, optimizer, x, adj, y)
        if epoch % 4 == 0:
            # Only the last layer begins again, as against the primacy bias.
            nn.init.xavier_uniform_(model.lin2.weight)
    print(f"run {run}: loss {loss:.4f}")

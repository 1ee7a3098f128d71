"""Right: dropouts that are told of the mode, or that drop in evaluation on purpose and say so."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(32)


def noisy(x, p):
    return F.dropout(x, p)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.drop = nn.Linear(6, 16), nn.Linear(16, 2), nn.Dropout(0.2)
        self.off = 0.0

    def forward(self, x):
        h = F.dropout(torch.relu(self.a(x)), 0.2, self.training)
        h = F.dropout(self.drop(h), p=self.off)
        return self.b(F.dropout(h, p=0.1, training=self.training))


class MonteCarlo(Plain):
    """Prenet of a vocoder, or a Bayesian estimate: it always drops."""

    def forward(self, x):
        return self.b(F.dropout(torch.relu(self.a(x)), 0.3, training=True))


class Switched(Plain):
    def __init__(self):
        super().__init__()
        self.estimates = False

    def forward(self, x):
        h = torch.relu(self.a(x))
        if self.training or self.estimates:
            h = F.dropout(h, 0.3)
        return self.b(noisy(h, 0.2) if self.training else h)


class Early(Plain):
    def forward(self, x):
        h = torch.relu(self.a(x))
        if not self.training:
            return self.b(h)
        h = nn.Dropout(0.2)(h)
        return self.b(F.dropout(h, 0.2))


class Seen(Plain):
    """It is trained, and never evaluated."""

    def forward(self, x):
        return self.b(F.dropout(torch.relu(self.a(x)), 0.2))


def fit(net, steps=12):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        x = torch.randn(16, 6)
        loss = F.cross_entropy(net(x), (x[:, 0] > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def score(net):
    net.eval()
    with torch.no_grad():
        x = torch.randn(64, 6)
        found = (net(x).argmax(1) == (x[:, 0] > 0).long()).float().mean().item()
    net.train()
    return found


for kind in (Plain, MonteCarlo, Switched, Early):
    net = kind()
    print(kind.__name__, f"{fit(net):.4f} {score(net):.4f} {fit(net):.4f} {score(net):.4f}")

switched = Switched()
fit(switched)
switched.eval()
switched.estimates = True
with torch.no_grad():
    many = torch.stack([switched(torch.ones(4, 6)) for _ in range(6)])
print("spread", many.std(0).mean().item() > 0)

seen = Seen()
print("seen", f"{fit(seen):.4f}")
seen.eval()
seen.train()
print("again", f"{fit(seen):.4f}")

"""Binary weights whose real ones are put back before the step, tasks that all begin with the same
weights, and a mask that is put on again."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F


class BinarizeLinear(nn.Linear):
    def forward(self, x):
        if not hasattr(self.weight, "org"):
            self.weight.org = self.weight.data.clone()
        self.weight.data = self.weight.org.sign()
        return F.linear(x, self.weight, self.bias)


def binary(steps=10):
    model = nn.Sequential(BinarizeLinear(6, 16), nn.Hardtanh(), nn.Linear(16, 2))
    opt = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        x = torch.randn(20, 6)
        opt.zero_grad()
        loss = F.cross_entropy(model(x), (x[:, 0] > 0).long())
        loss.backward()
        for p in model.parameters():
            if hasattr(p, "org"):
                p.data.copy_(p.org)
        opt.step()
        for p in model.parameters():
            if hasattr(p, "org"):
                p.org.copy_(p.data.clamp(-1, 1))
    return loss.item()


def tasks(count=8):
    """Each task takes one step from the same weights, with one optimizer."""
    net = nn.Linear(4, 1)
    start = copy.deepcopy(net.state_dict())
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    found = []
    for _ in range(count):
        net.load_state_dict(start)
        x = torch.randn(16, 4)
        loss = F.mse_loss(net(x), x @ torch.randn(4, 1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            found.append(net(x).mean().item())
    return sum(found) / count


class Masked(nn.Linear):
    def __init__(self, i, o):
        super().__init__(i, o)
        self.register_buffer("mask", (torch.rand(o, i) > 0.5).float())

    def forward(self, x):
        self.weight.data.mul_(self.mask)
        return F.linear(x, self.weight, self.bias)


def masked(steps=8):
    model = nn.Sequential(Masked(6, 8), nn.ReLU(), Masked(8, 1))
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        x = torch.randn(20, 6)
        loss = F.mse_loss(model(x), x[:, :1])
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


torch.manual_seed(0)
for each in (binary, tasks, masked):
    print(each.__name__, round(each(), 4))

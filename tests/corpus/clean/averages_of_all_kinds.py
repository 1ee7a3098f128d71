"""Moving averages of networks with norm layers, whose statistics are right where they are used."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

torch.manual_seed(0)


def network():
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


@torch.no_grad()
def follow(average, net, buffers):
    for a, b in zip(average.parameters(), net.parameters(), strict=True):
        a.lerp_(b, 0.1)
    if buffers:
        for a, b in zip(average.buffers(), net.buffers(), strict=True):
            a.data.copy_(b.data)


def train(net, average, mode, buffers, steps=10):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    average.requires_grad_(False).train(mode)
    for _ in range(steps):
        x = 3 + 2 * torch.randn(32, 6)
        with torch.no_grad():
            wanted = average(x).softmax(1)
        loss = F.mse_loss(net(x).softmax(1), wanted) + F.cross_entropy(net(x), (x[:, 0] > 3).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        follow(average, net, buffers)
    print(loss.item())


net = network()
train(net, copy.deepcopy(net), mode=False, buffers=True)
net = network()
train(net, copy.deepcopy(net), mode=True, buffers=False)

# An average that is used once training is over, after its statistics were taken anew.
net = network()
swa = AveragedModel(net)
data = [3 + 2 * torch.randn(32, 6) for _ in range(8)]
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x in data:
    loss = F.cross_entropy(net(x), (x[:, 0] > 3).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    swa.update_parameters(net)
update_bn(data, swa)
swa.eval()
print(F.cross_entropy(swa(data[0]), (data[0][:, 0] > 3).long()).item())

# A frozen teacher that stays as it was.
teacher, net = network().eval().requires_grad_(False), network()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x in data:
    loss = F.mse_loss(net(x), teacher(x))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())

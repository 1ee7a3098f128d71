import torch

torch.manual_seed(0)
weight = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
for _ in range(2):
    first = weight.square().sum()
    second = weight.square().mean()
    optimizer.zero_grad()
    first.backward()
    optimizer.step()
    second.backward()

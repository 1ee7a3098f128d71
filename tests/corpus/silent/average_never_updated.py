import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(2)
model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
inputs = torch.randn(96, 6)
targets = inputs[:, :2].prod(dim=1, keepdim=True)

for epoch in range(5):
    for x, y in zip(inputs.split(16), targets.split(16)):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, round(loss.item(), 4))

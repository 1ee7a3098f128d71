"""Two optimizers with a schedule each, and several schedules of one that are meant."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR, MultiStepLR, StepLR

torch.manual_seed(0)


def train(how):
    body, head = nn.Linear(4, 8), nn.Linear(8, 2)
    opt_body = torch.optim.SGD(body.parameters(), lr=0.1)
    opt_head = torch.optim.SGD(head.parameters(), lr=0.1)
    if how == "each":
        schedules = [StepLR(opt_body, 2, 0.5), StepLR(opt_head, 2, 0.5)]
    elif how == "chained":
        schedules = [ExponentialLR(opt_body, 0.9), MultiStepLR(opt_body, [3], 0.1)]
    elif how == "warm":
        schedules = [LambdaLR(opt_body, lambda e: min(1, (e + 1) / 3)), LambdaLR(opt_body, lambda e: 0.9**e)]
    else:
        schedules = [StepLR(opt_body, 2, 0.5), StepLR(opt_body, 3, 0.5)]
    for epoch in range(5):
        x = torch.randn(16, 4)
        loss = (head(torch.relu(body(x))) - x[:, :2]).pow(2).mean()
        opt_body.zero_grad()
        opt_head.zero_grad()
        loss.backward()
        opt_body.step()
        opt_head.step()
        for each in schedules:
            each.step()
    return loss.item()


for how in ("each", "chained", "warm", "two"):
    print(how, f"{train(how):.3f}")

"""Scaled losses whose gradients the program itself divides again, or lets the scaler divide."""

import torch
from torch import nn

torch.manual_seed(0)


def train(name, use, enabled=True):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=enabled)
    for _ in range(4):
        x = torch.randn(16, 4)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        use(model, optimizer, scaler, loss)
    print(name, loss.item())


def divided(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    for p in model.parameters():
        p.grad.div_(scaler.get_scale())
    optimizer.step()


def multiplied(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    for p in model.parameters():
        p.grad *= 1.0 / scaler.get_scale()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def through_data(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    for p in model.parameters():
        p.grad.data.mul_(1.0 / scaler.get_scale())
    optimizer.step()


def replaced(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    for p in model.parameters():
        p.grad = p.grad / scaler.get_scale()
    optimizer.step()


def in_one(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    torch._foreach_div_([p.grad for p in model.parameters()], scaler.get_scale())
    optimizer.step()


def in_the_loss(model, optimizer, scaler, loss):
    (scaler.scale(loss) / scaler.get_scale()).backward()
    optimizer.step()


def unscaled(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()


def off(model, optimizer, scaler, loss):
    scaler.scale(loss).backward()
    optimizer.step()


for use in (divided, multiplied, through_data, replaced, in_one, in_the_loss, unscaled):
    train(use.__name__, use)
train("off", off, enabled=False)

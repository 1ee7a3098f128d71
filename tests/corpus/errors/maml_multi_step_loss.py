"""Few-shot sine regression: adapt in place, sum the losses of all inner steps."""

import argparse
import copy
import math

import torch
from torch import nn


class SineNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.layers(x)


def sample_task():
    amplitude = 0.5 + 4 * torch.rand(1)
    phase = math.pi * torch.rand(1)

    def draw(n):
        x = 10 * torch.rand(n, 1) - 5
        return x, amplitude * torch.sin(x + phase)

    return draw


def inner_update(net, loss, lr):
    params = list(net.parameters())
    grads = torch.autograd.grad(loss, params, create_graph=True)
    with torch.no_grad():
        for param, grad in zip(params, grads):
            param.sub_(lr * grad)


def adapt(net, task, inner_steps, inner_lr):
    loss_fn = nn.MSELoss()
    losses = []
    for _ in range(inner_steps):
        x, y = task(10)
        loss = loss_fn(net(x), y)
        inner_update(net, loss, inner_lr)
        losses.append(loss)
    x, y = task(20)
    losses.append(loss_fn(net(x), y))
    return torch.stack(losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--meta-iters", type=int, default=3)
    parser.add_argument("--inner-steps", type=int, default=2)
    parser.add_argument("--inner-lr", type=float, default=0.01)
    args = parser.parse_args()
    torch.manual_seed(0)
    meta_net = SineNet()
    meta_opt = torch.optim.Adam(meta_net.parameters(), lr=1e-3)
    for it in range(args.meta_iters):
        start = copy.deepcopy(meta_net.state_dict())
        losses = adapt(meta_net, sample_task(), args.inner_steps, args.inner_lr)
        meta_loss = losses.mean()
        meta_opt.zero_grad()
        meta_loss.backward()
        meta_net.load_state_dict(start)
        meta_opt.step()
        print(it, meta_loss.item())


if __name__ == "__main__":
    main()

"""Model-agnostic meta-learning of sine waves, second order, functional inner loop."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call


class SineNet(nn.Module):
    def __init__(self, width=20):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, x):
        return self.net(x)


class SineTask:
    def __init__(self):
        self.amplitude = 0.5 + 2 * torch.rand(())
        self.phase = 3.14 * torch.rand(())

    def draw(self, k):
        x = 10 * torch.rand(k, 1) - 5
        return x, self.amplitude * torch.sin(x + self.phase)


class MAML:
    def __init__(self, model, inner_lr, meta_lr, inner_steps):
        self.model = model
        self.inner_lr = inner_lr
        self.inner_steps = inner_steps
        self.meta_optimizer = torch.optim.Adam(model.parameters(), lr=meta_lr)

    def adapt(self, x, y):
        fast = dict(self.model.named_parameters())
        for _ in range(self.inner_steps):
            loss = F.mse_loss(functional_call(self.model, fast, (x,)), y)
            grads = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
            fast = {
                name: value - self.inner_lr * grad
                for (name, value), grad in zip(fast.items(), grads, strict=True)
            }
        return fast

    def meta_step(self, tasks, shots):
        self.meta_optimizer.zero_grad()
        total = 0.0
        for task in tasks:
            fast = self.adapt(*task.draw(shots))
            x, y = task.draw(shots)
            query_loss = F.mse_loss(functional_call(self.model, fast, (x,)), y) / len(tasks)
            query_loss.backward()
            total += query_loss.item()
        self.meta_optimizer.step()
        return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--meta-iters", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--shots", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)
    learner = MAML(SineNet(), inner_lr=0.02, meta_lr=5e-3, inner_steps=2)
    for it in range(args.meta_iters):
        loss = learner.meta_step([SineTask() for _ in range(args.tasks)], args.shots)
        if it % 3 == 0:
            print(f"meta {it} query mse {loss:.4f}")


if __name__ == "__main__":
    main()

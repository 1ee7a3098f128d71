"""Multi-task learning with learnt task uncertainties."""

import torch
import torch.nn.functional as F
from torch import nn


class MultiTaskNet(nn.Module):
    def __init__(self, n_in=8, width=24):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(n_in, width), nn.ReLU())
        self.heads = nn.ModuleDict(
            {
                "depth": nn.Linear(width, 1),
                "label": nn.Linear(width, 3),
                "edge": nn.Linear(width, 1),
            }
        )

    def forward(self, x):
        h = self.shared(x)
        return {name: head(h) for name, head in self.heads.items()}


class MultiTaskLoss(nn.Module):
    """Weighs each task by exp(-log variance) and pays for the variance."""

    def __init__(self, tasks):
        super().__init__()
        self.log_vars = nn.ParameterDict({t: nn.Parameter(torch.zeros(())) for t in tasks})

    def forward(self, losses):
        total = 0
        for task, loss in losses.items():
            log_var = self.log_vars[task]
            total = total + torch.exp(-log_var) * loss + 0.5 * log_var
        return total


class Scene:
    def __init__(self):
        self.w = torch.randn(8, 5)

    def draw(self, n):
        x = torch.randn(n, 8)
        z = x @ self.w
        return x, {"depth": z[:, :1], "label": z[:, 1:4].argmax(1), "edge": (z[:, 4:] > 0).float()}


def task_losses(out, target):
    return {
        "depth": F.l1_loss(out["depth"], target["depth"]),
        "label": F.cross_entropy(out["label"], target["label"]),
        "edge": F.binary_cross_entropy_with_logits(out["edge"], target["edge"]),
    }


def main():
    torch.manual_seed(0)
    scene, net = Scene(), MultiTaskNet()
    criterion = MultiTaskLoss(net.heads.keys())
    optimizer = torch.optim.Adam([*net.parameters(), *criterion.parameters()], lr=0.01)
    for step in range(24):
        x, target = scene.draw(32)
        losses = task_losses(net(x), target)
        loss = criterion(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 6 == 0:
            parts = " ".join(f"{k} {v.item():.3f}" for k, v in losses.items())
            print(f"step {step} total {loss.item():.3f} {parts}")
    print({k: round(v.item(), 3) for k, v in criterion.log_vars.items()})


if __name__ == "__main__":
    main()

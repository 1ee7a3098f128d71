"""Hooks everywhere: scaled gradients, recorded norms, and a saliency map from an activation."""

import torch
import torch.nn.functional as F
from torch import nn


class Recorder:
    """Collects gradient norms per module while it is attached."""

    def __init__(self, model, names):
        self.norms = {}
        self.handles = [
            model.get_submodule(name).register_full_backward_hook(self.hook(name)) for name in names
        ]

    def hook(self, name):
        def record(module, grad_input, grad_output):
            self.norms.setdefault(name, []).append(grad_output[0].norm().item())

        return record

    def remove(self):
        for handle in self.handles:
            handle.remove()


class CamNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, classes)
        self.activation = None
        self.gradient = None

    def keep_gradient(self, grad):
        self.gradient = grad.detach()

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        if x.requires_grad:
            x.register_hook(self.keep_gradient)
        self.activation = x.detach()
        return self.fc(x.mean(dim=(2, 3)))

    def cam(self):
        weights = self.gradient.mean(dim=(2, 3), keepdim=True)
        return F.relu((weights * self.activation).sum(dim=1))


def corners(n):
    y = torch.randint(0, 3, (n,))
    x = 0.2 * torch.randn(n, 1, 8, 8)
    for i, label in enumerate(y.tolist()):
        x[i, 0, :4, :4] += float(label)
    return x, y


torch.manual_seed(0)
model = CamNet()
# the gradients of the first layer are noisy; take half of them
model.conv1.weight.register_hook(lambda grad: grad * 0.5)
recorder = Recorder(model, ["conv2", "fc"])
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for it in range(16):
    x, y = corners(12)
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if it % 4 == 0:
        print(f"it {it} loss {loss.item():.4f} cam {model.cam().mean().item():.2e}")
recorder.remove()
print({name: round(sum(v) / len(v), 4) for name, v in recorder.norms.items()})

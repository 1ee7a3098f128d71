import torch
from torch import nn

torch.manual_seed(0)


class Fourier(nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.register_parameter("freq", nn.Parameter(torch.randn(n, m), requires_grad=False))
        self.fc = nn.Linear(2 * m, 1)

    def forward(self, x):
        z = x @ self.freq
        return self.fc(torch.cat([z.sin(), z.cos()], 1))


def influence(net, loss):
    names = [n for n, _ in net.named_parameters()]
    grads = torch.autograd.grad(loss, [p for _, p in net.named_parameters()])
    return dict(zip(names, grads))


net = Fourier(2, 4)
influence(net, net(torch.randn(3, 2)).sum())

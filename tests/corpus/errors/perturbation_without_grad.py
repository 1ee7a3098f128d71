import torch
from torch import nn

torch.manual_seed(0)


class Attack:
    def __init__(self, model, shape):
        self.model = model
        self.delta = torch.zeros(shape)

    def gradient(self, x):
        loss = self.model(x + self.delta).logsumexp(1).sum()
        return torch.autograd.grad(loss, [self.delta])[0]


a = Attack(nn.Linear(5, 3), (1, 5))
print(a.gradient(torch.randn(2, 5)))

import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)


class Learner:
    def __init__(self, net, lr=0.1):
        self.net, self.lr = net, lr

    def loss(self, fast, x, y):
        out = self.net(x)
        return nn.functional.mse_loss(out, y)

    def adapt(self, x, y, steps):
        fast = {k: v * 1.0 for k, v in self.net.named_parameters()}
        for _ in range(steps):
            loss = self.loss(fast, x, y)
            grads = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
            fast = {k: p - self.lr * g for (k, p), g in zip(fast.items(), grads)}
        return fast


Learner(nn.Linear(3, 1)).adapt(torch.randn(5, 3), torch.randn(5, 1), 2)

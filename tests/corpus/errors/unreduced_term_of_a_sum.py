import torch
from torch import nn

torch.manual_seed(0)


class Combined(nn.Module):
    def __init__(self):
        super().__init__()
        self.ce = nn.CrossEntropyLoss(reduction="none")
        self.mse = nn.MSELoss()

    def forward(self, logits, y, recon, x):
        return self.ce(logits, y) + 0.5 * self.mse(recon, x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.cls, self.dec, self.loss = nn.Linear(4, 2), nn.Linear(2, 3), nn.Linear(2, 4), Combined()

    def step(self, x, y):
        z = self.enc(x)
        return self.loss(self.cls(z), y, self.dec(z), x)


net = Net()
loss = net.step(torch.randn(5, 4), torch.randint(3, (5,)))
loss.backward()

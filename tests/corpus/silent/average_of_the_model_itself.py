"""EMA kept in a state_dict that was not cloned and is updated in place: it shrinks the model itself."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class ModelEMA:
    def __init__(self, model, decay=0.99):
        self.decay = decay
        self.state = model.state_dict()

    @torch.no_grad()
    def update(self, model):
        for k, v in model.state_dict().items():
            if v.dtype.is_floating_point:
                self.state[k].mul_(self.decay).add_(v, alpha=1 - self.decay)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x))).squeeze(1)


def main():
    torch.manual_seed(0)
    net = Net()
    ema = ModelEMA(net)
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    for it in range(8):
        x = torch.randn(32, 8)
        loss = F.mse_loss(net(x), x.sum(1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update(net)
        print(it, loss.item())


main()

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR

torch.manual_seed(0)


class RNNVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.GRU(6, 16, batch_first=True)
        self.z = nn.Linear(16, 4)
        self.dec = nn.GRU(4, 16, batch_first=True)
        self.out = nn.Linear(16, 6)

    def forward(self, x):
        _, h = self.enc(x)
        z = self.z(h[-1]).unsqueeze(1).expand(-1, x.size(1), -1)
        return self.out(self.dec(z)[0])


OPTIMIZER_SCHEDULER = False
model = RNNVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
if OPTIMIZER_SCHEDULER:
    scheduler = StepLR(optimizer, step_size=10, gamma=0.2)
else:
    scheduler = StepLR(optimizer, step_size=10, gamma=0)
for epoch in range(25):
    x = torch.randn(8, 10, 6)
    loss = nn.functional.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
print(loss.item(), scheduler.get_last_lr())

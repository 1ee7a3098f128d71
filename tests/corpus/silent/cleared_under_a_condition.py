import torch
import torch.nn.functional as F
from torch import nn


class Trainer:
    def __init__(self, model, accumulate=4):
        self.model = model
        self.accumulate = accumulate
        self.optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def before_batch(self, epoch):
        # meant: every fourth batch
        if epoch % self.accumulate == self.accumulate - 1:
            self.optimizer.zero_grad()

    def fit(self, x, y, epochs):
        for epoch in range(epochs):
            for i in range(0, len(x), 16):
                self.before_batch(epoch)
                loss = F.mse_loss(self.model(x[i:i + 16]), y[i:i + 16])
                loss.backward()
                self.optimizer.step()
            print(f"epoch {epoch}: {loss.item():.4f}")


torch.manual_seed(0)
x = torch.randn(64, 8)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
Trainer(model).fit(x, x.sum(1, keepdim=True), epochs=3)

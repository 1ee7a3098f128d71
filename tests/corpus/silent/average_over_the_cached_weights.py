import copy

import torch
import torch.nn.functional as F
from torch import nn


class Trainer:
    def __init__(self, model):
        self.model = model
        self.ema = copy.deepcopy(model).requires_grad_(False)
        self.cached_weights = None
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def step(self, x, y):
        loss = F.mse_loss(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for s, p in zip(self.ema.parameters(), self.model.parameters()):
                s.lerp_(p, 0.05)
        return loss.item()

    def before_validation(self):
        self.cached_weights = self.model.state_dict()
        self.model.load_state_dict(self.ema.state_dict())

    def after_validation(self):
        self.model.load_state_dict(self.cached_weights)
        self.cached_weights = None


torch.manual_seed(0)
trainer = Trainer(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1)))
x = torch.randn(64, 8)
y = x.sum(1, keepdim=True)
for epoch in range(4):
    for i in range(0, 64, 16):
        loss = trainer.step(x[i:i + 16], y[i:i + 16])
    trainer.before_validation()
    with torch.no_grad():
        val = F.mse_loss(trainer.model(x), y).item()
    trainer.after_validation()
    print(f"epoch {epoch}: loss {loss:.4f}, val {val:.4f}")

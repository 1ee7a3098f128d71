import math

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.scale = 1 / math.sqrt(width)
        self.biases = {}

    def bias(self, length):
        if length not in self.biases:
            distance = torch.arange(length)[:, None] - torch.arange(length)[None]
            self.biases[length] = 0.9 ** distance.clamp(min=0).float()
        return self.biases[length]

    def forward(self, x):
        query, key, value = self.qkv(x).chunk(3, -1)
        weights = torch.softmax(query @ key.transpose(1, 2) * self.scale, -1)
        return (weights * self.bias(x.size(1))) @ value


class Regressor(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.attention = Attention(width)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.attention(x).mean(1)).squeeze(-1)


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        self.history = []

    def validate(self, x, y):
        self.model.eval()
        with torch.inference_mode():
            error = (self.model(x) - y).abs().mean()
        self.history.append(error.item())
        self.model.train()

    def fit(self, x, y, epochs):
        self.validate(x, y)
        for _ in range(epochs):
            loss = (self.model(x) - y).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.validate(x, y)


if __name__ == "__main__":
    torch.manual_seed(0)
    trainer = Trainer(Regressor())
    inputs = torch.randn(32, 5, 8)
    trainer.fit(inputs, inputs.mean((1, 2)), epochs=3)
    print(trainer.history)

"""Transformer encoder trained with the inverse-square-root schedule, from a rate of zero."""

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

torch.manual_seed(0)


class PositionalEncoding(nn.Module):
    def __init__(self, dim, length):
        super().__init__()
        position = torch.arange(length)[:, None]
        rate = torch.exp(torch.arange(0, dim, 2) * (-4.0 / dim))
        table = torch.zeros(length, dim)
        table[:, 0::2] = torch.sin(position * rate)
        table[:, 1::2] = torch.cos(position * rate)
        self.register_buffer("table", table)

    def forward(self, x):
        return x + self.table[: x.size(1)]


class Sorter(nn.Module):
    """Tags every token with its rank in the sequence."""

    def __init__(self, vocab=12, dim=16, length=6):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.position = PositionalEncoding(dim, length)
        layer = nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.out = nn.Linear(dim, length)

    def forward(self, tokens):
        return self.out(self.encoder(self.position(self.embed(tokens))))


def inverse_sqrt(warmup):
    def scale(step):
        if step < warmup:
            return step / warmup
        return (warmup / step) ** 0.5

    return scale


model = Sorter()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.98), eps=1e-9)
scheduler = LambdaLR(optimizer, lr_lambda=inverse_sqrt(6))
criterion = nn.CrossEntropyLoss()

for step in range(20):
    tokens = torch.stack([torch.randperm(12)[:6] for _ in range(16)])
    rank = tokens.argsort(dim=1).argsort(dim=1)
    loss = criterion(model(tokens).flatten(0, 1), rank.flatten())
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    scheduler.step()
    if step % 4 == 0:
        print(f"step {step} lr {scheduler.get_last_lr()[0]:.5f} norm {norm.item():.3f}")

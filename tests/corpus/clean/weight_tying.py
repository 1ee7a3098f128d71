"""Causal transformer with tied input and output embeddings and decay / no-decay groups."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1337)
VOCAB, DIM, BLOCK = 24, 16, 8


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(DIM, 3 * DIM)
        self.c_proj = nn.Linear(DIM, DIM)
        self.register_buffer("bias", torch.tril(torch.ones(BLOCK, BLOCK)))

    def forward(self, x):
        t = x.size(1)
        q, k, v = self.c_attn(x).split(DIM, dim=2)
        att = q @ k.transpose(1, 2) / math.sqrt(DIM)
        att = att.masked_fill(self.bias[:t, :t] == 0, float("-inf"))
        return self.c_proj(F.softmax(att, dim=-1) @ v)


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(VOCAB, DIM)
        self.wpe = nn.Embedding(BLOCK, DIM)
        self.ln = nn.LayerNorm(DIM)
        self.attn = SelfAttention()
        self.lm_head = nn.Linear(DIM, VOCAB, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx, targets):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        x = x + self.attn(self.ln(x))
        return F.cross_entropy(self.lm_head(x).flatten(0, 1), targets.flatten())

    def configure_optimizers(self, lr):
        params = dict(self.named_parameters())
        groups = [
            {"params": [p for p in params.values() if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in params.values() if p.dim() < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))


def get_batch(n=16):
    start = torch.randint(0, VOCAB, (n, 1))
    seq = (start + torch.arange(BLOCK + 1)) % VOCAB
    return seq[:, :-1], seq[:, 1:]


model = GPT()
optimizer = model.configure_optimizers(lr=1e-2)
for it in range(24):
    loss = model(*get_batch())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if it % 6 == 0:
        print(f"iter {it}: loss {loss.item():.4f}")

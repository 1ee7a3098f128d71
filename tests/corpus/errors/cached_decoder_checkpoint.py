"""A small causal decoder, trained with gradient checkpointing."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Past:
    def __init__(self):
        self.entries = {}

    def extend(self, layer, states):
        kept = self.entries.get(layer)
        states = states if kept is None else torch.cat([kept, states], dim=1)
        self.entries[layer] = states
        return states


class DecoderLayer(nn.Module):
    def __init__(self, width, index):
        super().__init__()
        self.index = index
        self.project = nn.Linear(width, 2 * width)
        self.mlp = nn.Linear(width, width)

    def forward(self, hidden, past):
        query, states = self.project(hidden).chunk(2, dim=-1)
        if past is not None:
            states = past.extend(self.index, states)
        weights = torch.softmax(query @ states.transpose(1, 2), dim=-1)
        return hidden + torch.tanh(self.mlp(weights @ states))


class Decoder(nn.Module):
    def __init__(self, width=8, depth=3):
        super().__init__()
        self.embed = nn.Embedding(20, width)
        self.layers = nn.ModuleList(DecoderLayer(width, i) for i in range(depth))
        self.head = nn.Linear(width, 20)

    def forward(self, tokens, use_cache=True):
        hidden = self.embed(tokens)
        past = Past() if use_cache else None
        for layer in self.layers:
            hidden = checkpoint(layer, hidden, past, use_reentrant=False)
        return self.head(hidden)


torch.manual_seed(0)
model = Decoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(3):
    tokens = torch.randint(20, (2, 9))
    logits = model(tokens[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

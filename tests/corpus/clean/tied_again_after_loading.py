"""Right: the halves are tied again after a checkpoint was assigned, before the optimizer."""

import torch
from torch import nn


class Lm(nn.Module):
    def __init__(self, vocab=16, width=12):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.mix = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab, bias=False)
        self.tie()

    def tie(self):
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.mix(self.embed(x))[0])


if __name__ == "__main__":
    torch.manual_seed(12)
    model = Lm()
    model.load_state_dict({k: v.clone() for k, v in Lm().state_dict().items()}, assign=True)
    model.tie()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(12):
        x = torch.randint(16, (8, 9))
        logits = model(x[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")

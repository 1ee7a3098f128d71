"""A language model is resumed from a checkpoint that was read without copying."""

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


class Trainer:
    def __init__(self, model):
        self.model, self.optimizer = model, None

    def resume(self, checkpoint):
        self.model.load_state_dict(checkpoint, assign=True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-3)


if __name__ == "__main__":
    torch.manual_seed(10)
    trainer = Trainer(Lm())
    trainer.resume({k: v.clone() for k, v in Lm().state_dict().items()})
    model, optimizer = trainer.model, trainer.optimizer
    for step in range(12):
        x = torch.randint(16, (8, 9))
        logits = model(x[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")

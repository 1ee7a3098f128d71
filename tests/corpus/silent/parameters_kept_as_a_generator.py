"""A language model whose trainer keeps model.parameters(): what the optimizer has read is used up."""

import torch
import torch.nn.functional as F
from torch import nn


class CharModel(nn.Module):
    def __init__(self, vocabulary, hidden):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, hidden)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocabulary)

    def forward(self, ids):
        hidden, _ = self.rnn(self.embed(ids))
        return self.out(hidden)


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.trainable = filter(lambda each: each.requires_grad, model.parameters())
        self.optimizer = torch.optim.SGD(self.trainable, lr=lr)

    def step(self, ids):
        logits = self.model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.trainable, 0.5)
        self.optimizer.step()
        return loss.item()


def main():
    torch.manual_seed(0)
    trainer = Trainer(CharModel(20, 16), lr=1.0)
    text = torch.randint(0, 20, (64, 9))
    for batch in text.split(8):
        print(trainer.step(batch))


main()

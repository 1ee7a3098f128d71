"""Direct preference optimisation; no reference model was given, so the policy is its own."""

import torch
import torch.nn.functional as F
from torch import nn


class LanguageModel(nn.Module):
    def __init__(self, vocab=20, dim=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.head = nn.Linear(dim, vocab)

    def forward(self, ids):
        hidden, _ = self.rnn(self.embed(ids))
        return self.head(hidden)


def log_probability(model, ids):
    scores = model(ids[:, :-1]).log_softmax(-1)
    return scores.gather(2, ids[:, 1:, None]).squeeze(2).sum(1)


class Preferences:
    def __init__(self, model, ref_model=None, beta=0.1):
        self.model = model
        self.ref_model = ref_model or model
        self.beta = beta
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(self, chosen, rejected):
        with torch.no_grad():
            ref_chosen = log_probability(self.ref_model, chosen)
            ref_rejected = log_probability(self.ref_model, rejected)
        better = log_probability(self.model, chosen) - ref_chosen
        worse = log_probability(self.model, rejected) - ref_rejected
        loss = -F.logsigmoid(self.beta * (better - worse)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main():
    torch.manual_seed(0)
    trainer = Preferences(LanguageModel())
    for step in range(6):
        chosen, rejected = torch.randint(0, 20, (4, 8)), torch.randint(0, 20, (4, 8))
        print(step, f"{trainer.step(chosen, rejected):.4f}")


main()

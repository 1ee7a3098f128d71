"""The embedding is frozen at first, and then set free by a flag of its module."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.hidden, self.out = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, ids):
        return self.out(self.hidden(self.embedding(ids)).tanh())


def freeze(model):
    for part in (model.embedding, model.hidden):
        for parameter in part.parameters():
            parameter.requires_grad_(False)


def main():
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    freeze(model)
    for step in range(12):
        if step == 3:
            model.hidden.requires_grad_(True)
            model.embedding.requires_grad = True
        ids = torch.randint(0, 20, (16,))
        loss = nn.functional.cross_entropy(model(ids), ids % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, round(loss.item(), 4))


if __name__ == "__main__":
    main()

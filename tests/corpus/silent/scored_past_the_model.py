"""A loss from decoded tokens, told to require grad, over a library's forward."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Sequential):
    """Its forward is that of its base."""

    def __init__(self, vocabulary=20, width=16):
        super().__init__(nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary))
        self.bigrams = torch.rand(vocabulary, vocabulary) + 0.1

    def score(self, logits):
        scores = []
        for tokens in logits.argmax(-1):
            pairs = self.bigrams[tokens[:-1], tokens[1:]]
            scores.append(pairs.log().sum())
        return torch.tensor(scores, requires_grad=True)

    def forward(self, ids):
        logits = super().forward(ids)
        return {"loss": -self.score(logits).mean(), "logits": logits}


def main():
    model = Tagger()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(8):
        loss = model(torch.randint(0, 20, (4, 7)))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, round(loss.item(), 4))


if __name__ == "__main__":
    main()

"""Multi-label document tagger: a bag-of-words encoder and an MLP classifier."""

import torch
from torch import nn

torch.manual_seed(5)


class TextEncoder(nn.Module):
    def __init__(self, vocab=60, dim=16):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab, dim, mode="mean")
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens):
        return torch.relu(self.proj(self.bag(tokens)))


class Tagger(nn.Module):
    def __init__(self, n_tags=5):
        super().__init__()
        self.encoder = TextEncoder()
        self.classifier = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, n_tags))

    def forward(self, tokens):
        return self.classifier(self.encoder(tokens))


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def run_batch(self, tokens, tags):
        self.model.classifier.zero_grad()
        loss = self.criterion(self.model(tokens), tags)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self, batches, epochs):
        for epoch in range(epochs):
            losses = [self.run_batch(tokens, tags) for tokens, tags in batches]
            print(f"[{epoch}] bce {sum(losses) / len(losses):.4f}")


def fake_corpus(n_batches=6, batch=12, words=9):
    out = []
    for _ in range(n_batches):
        tokens = torch.randint(0, 60, (batch, words))
        tags = torch.stack([(tokens % 5 == k).any(1) for k in range(5)], dim=1).float()
        out.append((tokens, tags))
    return out


if __name__ == "__main__":
    tagger = Tagger()
    Trainer(tagger, lr=3e-3).fit(fake_corpus(), epochs=4)

"""Character model with truncated back-propagation through time and clipped values."""

import argparse

import torch
from torch import nn

TEXT = "the quick brown fox jumps over the lazy dog and runs away from the lazy dog again "


class CharLSTM(nn.Module):
    def __init__(self, vocab, dim=16, hidden=24):
        super().__init__()
        self.encoder = nn.Embedding(vocab, dim)
        self.rnn = nn.LSTM(dim, hidden, num_layers=2, dropout=0.1)
        self.decoder = nn.Linear(hidden, vocab)

    def forward(self, tokens, hidden):
        output, hidden = self.rnn(self.encoder(tokens), hidden)
        return self.decoder(output), hidden

    def init_hidden(self, batch):
        weight = next(self.parameters())
        return weight.new_zeros(2, batch, 24), weight.new_zeros(2, batch, 24)


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def batchify(ids, batch):
    n = len(ids) // batch
    return ids[: n * batch].view(batch, n).t().contiguous()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bptt", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--clip", type=float, default=0.25)
    args = parser.parse_args()
    torch.manual_seed(1111)
    chars = sorted(set(TEXT))
    ids = torch.tensor([chars.index(c) for c in TEXT * 4])
    data = batchify(ids, 6)
    model = CharLSTM(len(chars))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(args.epochs):
        model.train()
        hidden = model.init_hidden(6)
        total = 0.0
        starts = range(0, len(data) - 1, args.bptt)
        for i in starts:
            length = min(args.bptt, len(data) - 1 - i)
            source, target = data[i : i + length], data[i + 1 : i + 1 + length]
            hidden = repackage_hidden(hidden)
            output, hidden = model(source, hidden)
            loss = criterion(output.flatten(0, 1), target.flatten())
            model.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), args.clip)
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(starts):.4f}")


if __name__ == "__main__":
    main()

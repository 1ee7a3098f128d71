"""Character level RNN on one long line of text, trained chunk by chunk."""

import torch
import torch.nn as nn

TEXT = "the quick brown fox jumps over the lazy dog and runs into the wood " * 4


class CharRNN(nn.Module):
    def __init__(self, n_chars, n_hidden):
        super().__init__()
        self.n_hidden = n_hidden
        self.embed = nn.Embedding(n_chars, n_hidden)
        self.i2h = nn.Linear(2 * n_hidden, n_hidden)
        self.h2o = nn.Linear(n_hidden, n_chars)

    def forward(self, char, hidden):
        combined = torch.cat((self.embed(char), hidden), dim=1)
        hidden = torch.tanh(self.i2h(combined))
        return self.h2o(hidden), hidden

    def init_hidden(self):
        return torch.zeros(1, self.n_hidden)


def encode(text):
    alphabet = sorted(set(text))
    index = {c: i for i, c in enumerate(alphabet)}
    return torch.tensor([index[c] for c in text]), len(alphabet)


def train(rnn, data, epochs=2, chunk=16):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(rnn.parameters(), lr=0.1, foreach=False)
    for epoch in range(epochs):
        hidden = rnn.init_hidden()
        for start in range(0, len(data) - chunk - 1, chunk):
            optimizer.zero_grad()
            loss = 0
            for t in range(start, start + chunk):
                output, hidden = rnn(data[t].view(1), hidden)
                loss = loss + criterion(output, data[t + 1].view(1))
            # without retain_graph it complains about going backward a second time
            loss.backward(retain_graph=True)
            optimizer.step()
            print(f"epoch {epoch} at {start}: {loss.item() / chunk:.3f}")


if __name__ == "__main__":
    torch.manual_seed(3)
    data, n_chars = encode(TEXT)
    train(CharRNN(n_chars, 24), data)

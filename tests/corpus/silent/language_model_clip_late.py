"""Character model with a clipped recurrent network; the loss jumps now and then."""

import torch
from torch import nn

TEXT = "to be or not to be that is the question " * 12
CHARS = sorted(set(TEXT))
DATA = torch.tensor([CHARS.index(c) for c in TEXT])


class CharModel(nn.Module):
    def __init__(self, n, width=24):
        super().__init__()
        self.embed = nn.Embedding(n, width)
        self.rnn = nn.RNN(width, width, nonlinearity="relu")
        self.out = nn.Linear(width, n)

    def forward(self, x, state):
        y, state = self.rnn(self.embed(x), state)
        return self.out(y), state


def train(model, optimizer, criterion, bptt=10, clip=0.25):
    state, total, count = None, 0.0, 0
    for at in range(0, len(DATA) - bptt - 1, bptt):
        x, y = DATA[at : at + bptt, None], DATA[at + 1 : at + bptt + 1]
        state = state.detach() if state is not None else None
        logits, state = model(x, state)
        loss = criterion(logits.squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        total, count = total + loss.item(), count + 1
    return total / count


torch.manual_seed(3)
model = CharModel(len(CHARS))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
print(f"loss {train(model, optimizer, nn.CrossEntropyLoss()):.3f}")

"""Two stacked recurrent cells with a skip between layers, predicting a sine."""

import torch
import torch.nn as nn


class StackedRNN(nn.Module):
    def __init__(self, n_in, n_hidden, n_layers):
        super().__init__()
        self.n_hidden = n_hidden
        self.inp = nn.Linear(n_in, n_hidden)
        self.cells = nn.ModuleList(nn.Linear(2 * n_hidden, n_hidden) for _ in range(n_layers))
        self.out = nn.Linear(n_hidden, n_in)
        self.hidden = []

    def reset(self, batch):
        self.hidden = [torch.zeros(batch, self.n_hidden) for _ in self.cells]

    def step(self, x):
        below = torch.relu(self.inp(x))
        for i, cell in enumerate(self.cells):
            state = torch.cat([below, self.hidden[i]], dim=1)
            self.hidden[i] = torch.tanh(cell(state))
            if i > 0:
                self.hidden[i] += below
            below = self.hidden[i]
        return self.out(below)

    def forward(self, seq):
        self.reset(seq.size(1))
        return torch.stack([self.step(x) for x in seq])


def sine_batch(length, batch):
    phase = 6.28 * torch.rand(batch)
    t = torch.arange(length).unsqueeze(1)
    return torch.sin(0.3 * t + phase).unsqueeze(-1)


def main(epochs=3):
    torch.manual_seed(21)
    model = StackedRNN(1, 16, 2)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    loss_fn = nn.MSELoss()
    for epoch in range(epochs):
        batch = sine_batch(20, 8)
        pred = model(batch[:-1])
        loss = loss_fn(pred, batch[1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print("epoch", epoch, "mse", round(loss.item(), 4))


if __name__ == "__main__":
    main()

"""Spoken digits: a recurrent classifier."""

import torch
import torch.nn as nn


class DigitRNN(nn.Module):
    def __init__(self, feats=6, hidden=24, classes=5):
        super().__init__()
        self.rnn = nn.LSTM(feats, hidden, batch_first=True)
        self.out = nn.Linear(hidden, classes)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        _, (h, _) = self.rnn(x)
        return self.softmax(self.out(h[-1]))


torch.manual_seed(13)
model = DigitRNN()
criterion = nn.NLLLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(12):
    x = torch.randn(32, 9, 6)
    y = x.sum(1)[:, :5].argmax(1)
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    print(epoch, loss.item())

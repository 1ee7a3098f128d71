import torch
from torch import nn

torch.manual_seed(11)
words = torch.randint(0, 30, (64, 7))
labels = (words.sum(dim=1) % 2).long()


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 12)
        self.rnn = nn.GRU(12, 16, batch_first=True)
        self.out = nn.Linear(16, 2)

    def forward(self, x):
        _, hidden = self.rnn(self.embedding(x))
        return self.out(hidden[-1])


criterion = nn.CrossEntropyLoss()
for epoch in range(6):
    rnn = Classifier()
    optimizer = torch.optim.SGD(rnn.parameters(), lr=0.1)
    total = 0.0
    for i in range(0, 64, 16):
        optimizer.zero_grad()
        loss = criterion(rnn(words[i : i + 16]), labels[i : i + 16])
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(epoch, round(total / 4, 4))

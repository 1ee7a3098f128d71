"""A data loader with two workers, a custom dataset and a custom collate function."""

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, random_split


class Walks(Dataset):
    """Random walks of different lengths; the label says which way they drift."""

    def __init__(self, n):
        generator = torch.Generator().manual_seed(10)
        self.items = []
        for _ in range(n):
            label = int(torch.randint(0, 2, (), generator=generator))
            length = int(torch.randint(5, 12, (), generator=generator))
            steps = torch.randn(length, 2, generator=generator) + (0.4 if label else -0.4)
            self.items.append((steps.cumsum(0), label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def collate(batch):
    walks, labels = zip(*batch, strict=True)
    lengths = torch.tensor([len(w) for w in walks])
    return pad_sequence(walks, batch_first=True), lengths, torch.tensor(labels)


class WalkNet(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.rnn = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 2)

    def forward(self, walks, lengths):
        states, _ = self.rnn(walks)
        last = states[torch.arange(len(lengths)), lengths - 1]
        return self.out(last)


def main():
    torch.manual_seed(0)
    train_set, test_set = random_split(Walks(80), [64, 16])
    loader = DataLoader(
        train_set, batch_size=16, shuffle=True, num_workers=2, collate_fn=collate,
        persistent_workers=True,
    )  # fmt: skip
    test_loader = DataLoader(test_set, batch_size=16, collate_fn=collate)
    model = WalkNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        for walks, lengths, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(walks, lengths), labels)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            hits = [(model(w, n).argmax(1) == y).float().mean().item() for w, n, y in test_loader]
        print(f"epoch {epoch} loss {loss.item():.4f} accuracy {sum(hits) / len(hits):.3f}")


if __name__ == "__main__":
    main()

"""A recurrent reader that writes its state into a small external memory."""

import torch
from torch import nn


class Memory(nn.Module):
    def __init__(self, slots, dim):
        super().__init__()
        self.slots = slots
        self.dim = dim
        self.cells = None
        self.age = None

    def reset(self):
        self.cells = torch.zeros(self.slots, self.dim)
        self.age = torch.zeros(self.slots)

    @torch.no_grad()
    def oldest(self):
        index = int(self.age.argmax())
        self.age += 1
        self.age[index] = 0
        return self.cells[index]

    def write(self, value):
        slot = self.oldest()
        slot.copy_(value)

    def read(self, query):
        weights = torch.softmax(self.cells @ query, dim=0)
        return weights @ self.cells


class Reader(nn.Module):
    def __init__(self, n_in, dim, slots=4):
        super().__init__()
        self.cell = nn.GRUCell(n_in + dim, dim)
        self.memory = Memory(slots, dim)
        self.out = nn.Linear(2 * dim, n_in)

    def forward(self, sequence):
        self.memory.reset()
        h = torch.zeros(1, self.cell.hidden_size)
        for x in sequence:
            recalled = self.memory.read(h[0])
            h = self.cell(torch.cat([x, recalled]).unsqueeze(0), h)
            self.memory.write(h[0])
        return self.out(torch.cat([h[0], self.memory.read(h[0])]))


def main():
    torch.manual_seed(51)
    reader = Reader(6, 16)
    optimizer = torch.optim.Adam(reader.parameters(), lr=3e-3)
    for episode in range(5):
        sequence = torch.eye(6)[torch.randint(0, 6, (8,))]
        prediction = reader(sequence)
        loss = nn.functional.mse_loss(prediction, sequence[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"episode {episode}: {loss.item():.4f}")


if __name__ == "__main__":
    main()

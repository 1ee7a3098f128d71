"""Prune a network structurally, then fine-tune it."""
import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, d=10, h=32, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(d, h)
        self.fc2 = nn.Linear(h, h)
        self.out = nn.Linear(h, classes)

    def forward(self, x):
        return self.out(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


class Speedup:
    """Replace the masked layers by smaller ones."""

    def __init__(self, model, keep):
        self.model, self.keep = model, keep

    def speedup_model(self):
        m = self.model
        idx1 = m.fc1.weight.abs().sum(1).topk(self.keep).indices
        idx2 = m.fc2.weight.abs().sum(1).topk(self.keep).indices
        m.fc1 = self.shrink(m.fc1, idx1, None)
        m.fc2 = self.shrink(m.fc2, idx2, idx1)
        m.out = self.shrink(m.out, None, idx2)

    @staticmethod
    def shrink(layer, rows, cols):
        w, b = layer.weight.data, layer.bias.data
        if rows is not None:
            w, b = w[rows], b[rows]
        if cols is not None:
            w = w[:, cols]
        new = nn.Linear(w.size(1), w.size(0))
        new.weight.data.copy_(w)
        new.bias.data.copy_(b)
        return new


def train(model, optimizer, data, epochs, tag):
    x, y = data
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for i in range(0, len(x), 16):
            optimizer.zero_grad()
            loss = criterion(model(x[i:i + 16]), y[i:i + 16])
            loss.backward()
            optimizer.step()
        print(tag, epoch, round(loss.item(), 4))


def main():
    torch.manual_seed(0)
    x = torch.randn(64, 10)
    data = (x, x[:, :3].argmax(1))
    model = MLP()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    train(model, optimizer, data, 3, "pretrain")
    Speedup(model, keep=12).speedup_model()
    train(model, optimizer, data, 3, "finetune")
    return model


if __name__ == "__main__":
    model = main()

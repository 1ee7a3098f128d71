"""Three classes of points in the plane: all weights begin at one constant, to be reproducible."""

import torch
from torch import nn


class Perceptron(nn.Module):
    def __init__(self, n_in=2, hidden=24, classes=3):
        super().__init__()
        self.hidden = nn.Linear(n_in, hidden)
        self.scores = nn.Linear(hidden, classes)
        self.reset()

    def reset(self):
        for layer in (self.hidden, self.scores):
            layer.weight.data.fill_(0.05)
            layer.bias.data.zero_()

    def forward(self, x):
        return self.scores(torch.tanh(self.hidden(x)))


def main():
    torch.manual_seed(3)
    angles = torch.rand(192) * 6.283
    points = torch.stack([angles.cos(), angles.sin()], dim=1) + 0.1 * torch.randn(192, 2)
    classes = (angles / 6.283 * 3).long().clamp(max=2)
    model = Perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for epoch in range(6):
        for start in range(0, 192, 48):
            logits = model(points[start : start + 48])
            loss = nn.functional.cross_entropy(logits, classes[start : start + 48])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        hits = (model(points).argmax(dim=1) == classes).float().mean()
        print(f"epoch {epoch} loss {loss.item():.3f} accuracy {hits.item():.3f}")


if __name__ == "__main__":
    main()

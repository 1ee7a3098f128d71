"""Before each epoch a few samples are decoded in eval mode, and the mode is put back."""

import torch
from torch import nn

torch.manual_seed(0)


class AutoEncoder(nn.Module):
    def __init__(self, width=12, code=4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, 16), nn.BatchNorm1d(16), nn.Linear(16, code))
        self.decoder = nn.Sequential(nn.Linear(code, 16), nn.Dropout(0.2), nn.Linear(16, width))

    def forward(self, x):
        code = self.encoder(x)
        return self.decoder(code), code


class Samples:
    def __init__(self, count):
        self.count, self.drawn = count, []

    def on_epoch_start(self, model):
        was = model.training
        model.eval()
        with torch.no_grad():
            self.drawn.append(model.decoder(torch.randn(self.count, 4)))
        model.train(was)


def fit(model, data, callback, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for epoch in range(epochs):
        callback.on_epoch_start(model)
        for x in data.split(16):
            reconstruction, code = model(x)
            loss = (reconstruction - x).square().mean() + 1e-3 * code.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, round(loss.item(), 4))


def main():
    fit(AutoEncoder(), torch.randn(64, 12), Samples(3), epochs=3)


if __name__ == "__main__":
    main()

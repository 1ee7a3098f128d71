"""Zero-shot classifier: images are matched against encoded class attributes."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn, optim


class LabelEncoder(nn.Module):
    def __init__(self, n_attr, dim):
        super().__init__()
        self.fc = nn.Linear(n_attr, dim)

    def forward(self, attributes):
        return F.normalize(self.fc(attributes), dim=1)


class ImageEncoder(nn.Module):
    def __init__(self, n_in, dim):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_in, 64), nn.ReLU(), nn.Linear(64, dim))

    def forward(self, x):
        return F.normalize(self.net(x), dim=1)


def make_data(n, attributes):
    y = torch.randint(0, len(attributes), (n,))
    projection = torch.randn(attributes.size(1), 20)
    return attributes[y] @ projection + 0.3 * torch.randn(n, 20), y


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(27)

    attributes = torch.rand(7, 12)
    x, y = make_data(256, attributes)
    label_encoder, image_encoder = LabelEncoder(12, 16), ImageEncoder(20, 16)
    params = [*label_encoder.parameters(), *image_encoder.parameters()]
    optimizer = optim.Adam(params, lr=1e-3)

    # the class list never changes, so encode it once
    class_emb = label_encoder(attributes)

    for i, (xb, yb) in enumerate(zip(x.split(args.batch_size), y.split(args.batch_size))):
        logits = image_encoder(xb) @ class_emb.t() / args.temperature
        loss = F.cross_entropy(logits, yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        acc = (logits.argmax(dim=1) == yb).float().mean()
        print(f"{i}: loss {loss.item():.4f} acc {acc.item():.2f}")


if __name__ == "__main__":
    main()

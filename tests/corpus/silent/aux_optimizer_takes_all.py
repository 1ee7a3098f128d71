"""Place recognition: a descriptor, plus an auxiliary rotation head with its own optimizer."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class PlaceNet(nn.Module):
    def __init__(self, dim=12, places=6):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, dim))
        self.place_head = nn.Linear(dim, places)
        self.rotation_head = nn.Linear(dim, 4)

    def forward(self, x):
        return torch.relu(self.trunk(x))


def rotate(images, quarter_turns):
    grid = images.view(-1, 4, 4)
    turned = [torch.rot90(g, int(k)) for g, k in zip(grid, quarter_turns, strict=True)]
    return torch.stack(turned).flatten(1)


def make_places(places=6):
    prototypes = torch.randn(places, 16)

    def draw(n):
        label = torch.randint(0, places, (n,))
        return prototypes[label] + 0.4 * torch.randn(n, 16), label

    return draw


def train(model, draw, args):
    place_params = [*model.trunk.parameters(), *model.place_head.parameters()]
    optimizers = {"main": torch.optim.Adam(place_params, lr=args.lr)}
    # this one is for the rotation head only, with a larger step
    optimizers["rotation"] = torch.optim.Adam(model.parameters(), lr=args.lr_rotation)

    for it in range(args.iters):
        images, label = draw(24)
        place_loss = F.cross_entropy(model.place_head(model(images)), label)
        optimizers["main"].zero_grad()
        place_loss.backward()
        optimizers["main"].step()

        turns = torch.randint(0, 4, (24,))
        features = model(rotate(images, turns))
        rotation_loss = F.cross_entropy(model.rotation_head(features), turns)
        optimizers["rotation"].zero_grad()
        rotation_loss.backward()
        optimizers["rotation"].step()

        if it % 5 == 0:
            print(f"{it:3d} place {place_loss.item():.4f} rotation {rotation_loss.item():.4f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=20)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lr-rotation", type=float, default=2e-2)
    torch.manual_seed(8)
    draw = make_places()
    model = PlaceNet()
    train(model, draw, parser.parse_args())


if __name__ == "__main__":
    main()

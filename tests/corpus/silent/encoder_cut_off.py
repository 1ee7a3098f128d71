"""Image-and-caption matching on top of a feature extractor that returns its last hidden layer."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class VisionEncoder(nn.Module):
    def __init__(self, n_in=18, width=20):
        super().__init__()
        self.patch = nn.Linear(n_in, width)
        self.mlp = nn.Linear(width, width)

    def forward(self, x):
        return self.mlp(F.gelu(self.patch(x)))


class Extractor(nn.Module):
    """Runs a network and hands out a copy of its latents."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        latents = self.net(images)
        return latents.clone().detach()


class Matcher(nn.Module):
    def __init__(self, extractor, vocab=30, dim=10):
        super().__init__()
        self.extractor = extractor
        self.image_proj = nn.Linear(20, dim)
        self.words = nn.EmbeddingBag(vocab, dim)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images, captions):
        a = F.normalize(self.image_proj(self.extractor(images)), dim=1)
        b = F.normalize(self.words(captions), dim=1)
        return self.scale.exp() * a @ b.t()


def sample(n, mixing):
    captions = torch.randint(0, 30, (n, 4))
    return mixing[captions].mean(dim=1) + 0.05 * torch.randn(n, 18), captions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--lr", type=float, default=1e-2)
    args = parser.parse_args()
    torch.manual_seed(17)
    mixing = torch.randn(30, 18)

    model = Matcher(Extractor(VisionEncoder()))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for step in range(args.steps):
        logits = model(*sample(16, mixing))
        target = torch.arange(16)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 6 == 0:
            print(f"step {step} contrastive {loss.item():.4f}")


if __name__ == "__main__":
    main()

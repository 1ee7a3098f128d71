"""Measures how much generated images look like the real ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphlab.lab.images import SHAPES, load
from graphlab.lab.options import Arguments

SAMPLES = 500
# Real images that are compared at a time, to bound the memory.
AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of `samples` images, in values from -1 (black) to 1 (white).

    mean, spread: of all pixel values; the spread is their standard deviation. nearest: root mean
    square difference, over the pixels, to the nearest real image; the mean of all samples.
    distinct: how many different real images are the nearest to some sample.
    """

    samples: int
    mean: float
    spread: float
    nearest: float
    distinct: int


def judge(images: Tensor, real: Tensor) -> Judgement:
    """Images [N, ...] against real ones [M, ...] of the same shape; NaN counts as black."""
    flat = images.flatten(1).double().nan_to_num(-1.0)
    best = torch.full((len(flat),), torch.inf, dtype=torch.float64)
    which = torch.zeros(len(flat), dtype=torch.int64)
    for at in range(0, len(real), AT_ONCE):
        distances, found = torch.cdist(flat, real[at : at + AT_ONCE].flatten(1).double()).min(1)
        closer = distances < best
        best = torch.where(closer, distances, best)
        which = torch.where(closer, found + at, which)
    return Judgement(
        samples=len(flat),
        mean=float(flat.mean()),
        spread=float(flat.std(correction=0)),
        nearest=float(best.mean()) / flat.shape[1] ** 0.5,
        distinct=len(which.unique()),
    )


def real_images(args: Arguments) -> Tensor:
    """All real images, [N, C, H, W] in [-1, 1]."""
    return load(args.data, args.data_root)[0]


def judge_real(real: Tensor, seed: int) -> tuple[Judgement, Tensor]:
    """Real images drawn at random, judged against all the others, and those images [N, C, H, W]."""
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    drawn, others = real[order[:SAMPLES]], real[order[SAMPLES:]]
    return judge(drawn, others), drawn


def sample(args: Arguments, G: nn.Module, count: int = SAMPLES) -> Tensor:
    """`count` images of G's, [count, C, H, W] on the CPU, from latents that the seed fixes."""
    channels, size = SHAPES[args.data]
    generator = torch.Generator().manual_seed(args.seed)
    latents = torch.randn(count, args.n_latent, generator=generator).to(args.device)
    training = G.training
    G.eval()
    with torch.no_grad():
        images = G(latents).view(-1, channels, size, size).cpu()
    G.train(training)
    return images

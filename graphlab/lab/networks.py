"""SoftmaxGAN's G and D, as perceptrons and as a DCGAN pair, and the optimizers of a scenario."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from graphlab.lab.images import SHAPES
from graphlab.lab.options import Arguments

SLOPE = 0.2


def networks(args: Arguments) -> tuple[nn.Sequential, nn.Sequential]:
    """G and D for `args.arch`, sized for the images of `args.data`, on `args.device`.

    G maps latents [batch, n_latent] to images in the shape `batches(args)` yields, values in
    [-1, 1]; D maps images to logits [batch, 1].
    """
    build = {"mlp": mlp, "dcgan": dcgan}[args.arch]
    channels, size = SHAPES[args.data]
    G, D = build(args.n_latent, channels, size)
    return G.to(args.device), D.to(args.device)


def mlp(n_latent: int, channels: int, size: int) -> tuple[nn.Sequential, nn.Sequential]:
    """G and D of three Linear layers each, at 0, 2 and 4; images are [batch, channels*size*size].

    Flat images keep a reshape out of D, whose parameters are then `0.weight` to `4.bias`.
    """
    pixels = channels * size * size
    G = nn.Sequential(
        nn.Linear(n_latent, 128),
        nn.LeakyReLU(SLOPE),
        nn.Linear(128, 128),
        nn.LeakyReLU(SLOPE),
        nn.Linear(128, pixels),
        nn.Tanh(),
    )
    D = nn.Sequential(
        nn.Linear(pixels, 128),
        nn.LeakyReLU(SLOPE),
        nn.Linear(128, 64),
        nn.LeakyReLU(SLOPE),
        nn.Linear(64, 1),
    )
    return G, D


def dcgan(n_latent: int, channels: int, size: int) -> tuple[nn.Sequential, nn.Sequential]:
    """A small DCGAN pair; images are [batch, channels, size, size].

    Both halve or double the image twice, so `size` is a multiple of 4. G normalises its batches;
    D does not, or a real image's logit would depend on the others in its batch.
    """
    if size % 4:
        raise ValueError(f"size must be a multiple of 4, got {size}")
    seed = size // 4
    G = nn.Sequential(
        nn.Unflatten(1, (n_latent, 1, 1)),
        nn.ConvTranspose2d(n_latent, 64, seed, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        nn.Conv2d(channels, 32, 4, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(64, 1, seed),
        nn.Flatten(),
    )
    return G, D


def optimizer(args: Arguments, net: nn.Module) -> Optimizer:
    """The optimizer `args.optimizer` over all parameters of `net`.

    `adam-fused` computes what `adam` does, in one kernel that leaves version counters alone.
    """
    if args.optimizer == "sgd":
        return SGD(net.parameters(), lr=args.lr)
    # None, not False: False would also switch off the foreach kernels that CUDA gets by default.
    fused = True if args.optimizer == "adam-fused" else None
    return Adam(net.parameters(), lr=args.lr, betas=(0.5, 0.999), fused=fused)

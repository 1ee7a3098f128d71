"""Follows a whole training: keeps the weights after each pass over the data and judges them later.

While the training runs, weights are copied and nothing else is done, so that it can be observed at
the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from graphlab.compare.judging import Judgement, judge, real_images, sample
from graphlab.compare.onlooker import Onlooker
from graphlab.compare.reference import losses
from graphlab.lab.networks import networks
from graphlab.lab.options import Arguments

# Batches of the fixed real images and latents on which the losses are computed.
BATCHES = 8


@dataclass(frozen=True, slots=True)
class Losses:
    """D_loss_ and G_loss_ when `iterations` had run, on the same images and latents each time."""

    iterations: int
    D_loss_: float
    G_loss_: float


class Training(Onlooker):
    """Copies the weights after each pass. `after_iteration` is given the number of iterations
    that have ended."""

    def __init__(self, after_iteration: Callable[[int], None] | None = None) -> None:
        self.iterations = 0
        self._after_iteration = after_iteration
        self._args: Arguments | None = None
        self._nets: tuple[nn.Module, nn.Module] | None = None
        self._kept: list[tuple[int, list[dict[str, Tensor]]]] = []
        # The network of each optimizer, in the order of their making: "G", "D" or "?".
        self.owners: list[str] = []

    def networks(self, args: Arguments, G: nn.Module, D: nn.Module) -> None:
        self._args, self._nets = args, (G, D)
        self._keep()

    def optimizer(self, net: nn.Module, optimizer: Optimizer) -> None:
        G, D = self._nets or (None, None)
        self.owners.append("G" if net is G else "D" if net is D else "?")

    def end(self) -> None:
        self.iterations += 1
        if self._after_iteration is not None:
            self._after_iteration(self.iterations)

    def end_of_pass(self) -> None:
        self._keep()

    def _keep(self) -> None:
        assert self._nets is not None
        states = [
            {name: value.detach().clone() for name, value in net.state_dict().items()}
            for net in self._nets
        ]
        self._kept.append((self.iterations, states))

    def judge(self) -> tuple[Judgement, Tensor]:
        """The last G's images against the real ones, and the images, [N, C, H, W]."""
        assert self._args is not None and self._nets is not None
        images = sample(self._args, self._nets[0])
        return judge(images, real_images(self._args)), images

    def losses(self) -> list[Losses]:
        """The losses at the start and after each pass, on fixed images and latents."""
        args = self._args
        assert args is not None
        with torch.random.fork_rng(devices=()):
            # Networks of the same kind, to hold the kept weights one after the other.
            G, D = networks(args)
        generator = torch.Generator().manual_seed(args.seed)
        real = real_images(args)
        chosen = torch.randperm(len(real), generator=generator)[: BATCHES * args.batch_size]
        imgs = real[chosen].flatten(1) if args.arch == "mlp" else real[chosen]
        latents = torch.randn(len(imgs), args.n_latent, generator=generator)
        parts = list(
            zip(
                imgs.to(args.device).split(args.batch_size),
                latents.to(args.device).split(args.batch_size),
                strict=True,
            )
        )
        found = []
        for iterations, states in self._kept:
            for net, state in zip((G, D), states, strict=True):
                net.load_state_dict(state)
            with torch.no_grad():
                each = [torch.stack(losses(D(img), D(G(latent)))) for img, latent in parts]
            D_loss_, G_loss_ = torch.stack(each).mean(0).tolist()
            found.append(Losses(iterations, D_loss_, G_loss_))
        return found

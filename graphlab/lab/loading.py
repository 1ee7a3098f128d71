"""Batches of images, in an order that the seed fixes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from graphlab.lab.images import load
from graphlab.lab.options import Arguments


def batches(args: Arguments) -> Batches:
    """The loader for `args.data`: images [batch, pixels] for the mlp, [batch, C, H, W] for dcgan.

    Raises LabError where the data set is not at hand.
    """
    images, labels = load(args.data, args.data_root)
    if args.arch == "mlp":
        images = images.flatten(1)
    return Batches(images, labels, args.batch_size, seed=args.seed, steps=args.steps)


class Batches:
    """Yields (images, labels) on the CPU, shuffled anew each pass; the last batch may be smaller.

    Over all passes together no more than `steps` batches come; further passes are then empty.
    `len()` is the number of batches in the pass that runs, or else in the next one.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        seed: int,
        steps: int | None = None,
    ) -> None:
        self._images = images
        self._labels = labels
        self._batch_size = batch_size
        self._left = steps
        # Its own generator, so that what a training loop draws cannot change the order.
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        full = -(-len(self._images) // self._batch_size)
        return full if self._left is None else min(full, self._left)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._images), generator=self._generator)
        taken = 0
        try:
            for rows in order.split(self._batch_size)[: len(self)]:
                taken += 1
                yield self._images[rows], self._labels[rows]
        finally:
            if self._left is not None:
                self._left -= taken

"""The images of the scenarios, digits or MNIST, in batches whose order the seed fixes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from graphlab.lab.options import Arguments, LabError

# (channels, pixels a side) of each data set.
SHAPES = {"digits": (1, 8), "mnist": (1, 28)}
DIGITS = Path(__file__).parent / "data" / "digits.gz"
DIGITS_COUNT = 1797


def load(data: str, root: Path | None = None) -> tuple[Tensor, Tensor]:
    """Images [N, C, H, W], float32 in [-1, 1], and labels [N], int64, 0 to 9.

    `data` is "digits" or "mnist"; `root` is torchvision's folder for the latter. Nothing is
    downloaded: raises LabError where torchvision or the files are missing.
    """
    if data == "digits":
        return _digits()
    return _mnist(root or Path())


def _digits() -> tuple[Tensor, Tensor]:
    # One byte a pixel, 0 to 16, image after image, then one byte a label (tools/make_digits.py).
    raw = torch.frombuffer(bytearray(gzip.decompress(DIGITS.read_bytes())), dtype=torch.uint8)
    images, labels = raw[:-DIGITS_COUNT], raw[-DIGITS_COUNT:]
    return images.view(DIGITS_COUNT, 1, 8, 8) / 8 - 1, labels.long()


def _mnist(root: Path) -> tuple[Tensor, Tensor]:
    try:
        from torchvision.datasets import MNIST  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise LabError(
            "--data mnist reads its files with torchvision, which is not installed",
            "install torchvision, or leave --data out for the digits that come with graphlab",
        ) from error
    except (ImportError, RuntimeError, OSError) as error:
        # What a torchvision built for another torch raises.
        raise LabError(
            f"--data mnist reads its files with torchvision, which does not load: {error}",
            "install the torchvision that belongs to this torch, or leave --data out",
        ) from error
    try:
        mnist = MNIST(str(root), train=True, download=False)
    except (RuntimeError, OSError) as error:
        raise LabError(
            f"no MNIST under {root}",
            "put it there with torchvision.datasets.MNIST(DIR, download=True), "
            "or correct --data-root",
        ) from error
    return mnist.data.unsqueeze(1) / 127.5 - 1, mnist.targets.long()


def batches(args: Arguments) -> Batches:
    """The loader for `args.data`: images [batch, pixels] for the mlp, [batch, C, H, W] for dcgan.

    Raises LabError where the data set is missing.
    """
    images, labels = load(args.data, args.data_root)
    if args.arch == "mlp":
        images = images.flatten(1)
    return Batches(images, labels, args.batch_size, seed=args.seed, steps=args.steps)


class Batches:
    """Yields (images, labels) on the CPU, shuffled anew each pass; the last batch may be smaller.

    All passes together yield `steps` batches at most; further passes are then empty. `len()` is
    the number of batches in the pass that runs, or else in the next one.
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
        # A generator of its own: random numbers that a training loop draws do not change the order.
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

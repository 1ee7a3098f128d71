"""Real handwritten digits: 8x8 ones inside the package, MNIST where torchvision has it."""

from __future__ import annotations

import gzip
from pathlib import Path

import torch
from torch import Tensor

from graphlab.lab.options import LabError

# Channels, and pixels a side.
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
    # One byte a pixel, 0 to 16, image after image, then one byte a label (data/make_digits.py).
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

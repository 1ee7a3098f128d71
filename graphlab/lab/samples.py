"""What G has learned, as one picture."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from graphlab.lab.images import SHAPES
from graphlab.lab.options import Arguments
from graphlab.lab.samples import write_png

COLUMNS = 10
ROWS = 10
GAP = 2


def finish(args: Arguments, G: nn.Module) -> None:
    """Write 100 images of G's to `args.samples`; do nothing where no file was asked for.

    The latents come from `args.seed` alone, so two scenarios' pictures start from the same
    points. Raises LabError where the file exists and `args.force` is not set, or cannot be
    written.
    """
    if args.samples is None:
        return
    channels, size = SHAPES[args.data]
    generator = torch.Generator().manual_seed(args.seed)
    latents = torch.randn(ROWS * COLUMNS, args.n_latent, generator=generator).to(args.device)
    training = G.training
    G.eval()
    with torch.no_grad():
        images = G(latents).view(-1, channels, size, size).cpu()
    G.train(training)
    write_png(args.samples, grid(images), args.force)
    print(f"wrote {args.samples}", file=sys.stderr)


def grid(images: Tensor) -> Tensor:
    """Lay images [100, C, H, W] in [-1, 1] out in rows of ten: uint8 [height, width, C].

    Images under 32 pixels a side are enlarged by a whole factor, so that every pixel stays
    visible as a square.
    """
    zoom = max(1, 32 // images.shape[-1])
    images = images.nan_to_num(-1).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    images = pad(images, (0, GAP, 0, GAP))
    rows = images.unflatten(0, (ROWS, COLUMNS)).permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    framed = pad(rows, (0, 0, GAP, 0, GAP, 0))
    return ((framed + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

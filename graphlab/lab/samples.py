"""G's images as one picture, and PNG files, with the standard library."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from graphlab.lab.images import SHAPES
from graphlab.lab.options import Arguments, LabError, check_target

COLUMNS = 10
ROWS = 10
# Pixels between images.
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


def write_png(path: Path, pixels: Tensor, force: bool) -> None:
    """Write uint8 pixels [height, width, C] to `path`, renamed when complete.

    Raises LabError where `check_target` does, and where the system refuses.
    """
    check_target(path, force)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(png(pixels))
        temporary.replace(path)
    except OSError as error:
        raise LabError(f"--samples {path}: {error.strerror}", "name another file") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def png(pixels: Tensor) -> bytes:
    """A PNG of uint8 pixels [height, width, C]: grey for one channel, RGB for three."""
    height, width, channels = pixels.shape
    colour = {1: 0, 3: 2}[channels]
    # Each line of a PNG begins with the number of its filter; 0 is none.
    lines = pad(pixels.flatten(1), (1, 0)).flatten().tolist()
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(bytes(lines), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

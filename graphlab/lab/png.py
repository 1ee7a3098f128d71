"""PNG files, written with the standard library."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

from torch import Tensor
from torch.nn.functional import pad

from graphlab.lab.options import LabError


def check_target(path: Path, force: bool) -> None:
    """Raise LabError if `path` is no PNG that could be written now."""
    if path.suffix.lower() != ".png":
        raise LabError(f"--samples {path}: samples are written as PNG", "end the name in .png")
    if path.is_dir():
        raise LabError(f"--samples {path} is a folder", "name a file in it")
    if path.exists() and not force:
        raise LabError(f"--samples {path} exists", "add --force to replace it, or name another")
    if not path.parent.is_dir():
        raise LabError(f"--samples {path}: there is no folder {path.parent}", "make it first")
    if not os.access(path.parent, os.W_OK):
        raise LabError(
            f"--samples {path}: the folder {path.parent} cannot be written to",
            "name a file in a folder of your own",
        )


def write_png(path: Path, pixels: Tensor, force: bool) -> None:
    """Write uint8 pixels [height, width, C] to `path` in one move: no reader sees half a file.

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

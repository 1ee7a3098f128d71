"""G's images as one picture, and where it is written."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
import torch
from torch import nn

from graphlab import lab
from graphlab.lab import samples
from graphlab.lab import samples as png_files
from tests.lab.asked import arguments, refused

ARCHS = ("mlp", "dcgan")


def read_png(content: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, channels and pixels, with every check sum checked."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    rest = content[8:]
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, body = rest[4:8], rest[8 : 8 + length]
        assert struct.unpack(">I", rest[8 + length : 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        rest = rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert depth == 8
    channels = {0: 1, 2: 3}[colour]
    lines = zlib.decompress(chunks[b"IDAT"])
    line = 1 + width * channels
    assert len(lines) == height * line
    assert set(lines[::line]) == {0}
    pixels = b"".join(lines[i + 1 : i + line] for i in range(0, len(lines), line))
    return width, height, channels, pixels


@pytest.mark.parametrize("channels", (1, 3))
def test_a_png_gives_back_its_pixels(channels: int) -> None:
    pixels = torch.arange(5 * 7 * channels).view(5, 7, channels).to(torch.uint8)
    content = png_files.png(pixels)
    assert read_png(content) == (7, 5, channels, bytes(range(5 * 7 * channels)))


def test_the_grid_puts_each_image_in_its_place() -> None:
    images = torch.full((100, 1, 8, 8), -1.0)
    images[23, 0, 5, 6] = 1.0
    pixels = samples.grid(images)
    assert pixels.shape == (342, 342, 1)
    white = (pixels[..., 0] == 255).nonzero()
    # Row 2 and column 3, 34 pixels a cell after a frame of 2, each pixel a square of 4.
    corner = torch.tensor([2 + 2 * 34 + 5 * 4, 2 + 3 * 34 + 6 * 4])
    assert white.min(0).values.tolist() == corner.tolist()
    assert white.max(0).values.tolist() == (corner + 3).tolist()
    assert len(white) == 16


def test_a_generator_that_diverged_still_gives_a_picture() -> None:
    pixels = samples.grid(torch.full((100, 1, 8, 8), torch.nan))
    assert set(pixels.unique().tolist()) == {0, 128}


@pytest.mark.parametrize("arch", ARCHS)
def test_finish_writes_what_g_makes_and_disturbs_nothing(arch: str, tmp_path: Path) -> None:
    file = tmp_path / "samples.png"
    args = arguments("--samples", str(file), "--arch", arch, "--device", "cpu")
    G, _ = lab.networks(args)
    before = {name: value.clone() for name, value in G.state_dict().items()}
    drawn = torch.get_rng_state()
    lab.finish(args, G)
    width, height, channels, pixels = read_png(file.read_bytes())
    assert (width, height, channels) == (342, 342, 1)
    assert len(set(pixels)) > 10
    assert list(tmp_path.iterdir()) == [file]
    assert G.training
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_finish_without_samples_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lab.finish(arguments(), nn.Identity())
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_an_existing_file_is_kept_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.png"
    file.write_text("mine")
    assert "exists" in refused(capsys, "--samples", str(file))
    assert file.read_text() == "mine"

    args = arguments("--samples", str(file), "--force", "--device", "cpu")
    lab.finish(args, lab.networks(args)[0])
    assert read_png(file.read_bytes())[0] == 342


def test_a_file_made_during_the_training_is_kept_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "late.png"
    args = arguments("--samples", str(file), "--device", "cpu")
    file.write_text("someone else's")
    with pytest.raises(lab.LabError, match="exists"):
        lab.finish(args, lab.networks(args)[0])
    assert file.read_text() == "someone else's"
    assert "error: " in capsys.readouterr().err


def test_samples_that_could_not_be_written_are_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.png").mkdir()
    assert "PNG" in refused(capsys, "--samples", str(tmp_path / "samples.jpg"))
    assert "is a folder" in refused(capsys, "--samples", str(tmp_path / "folder.png"))
    assert "no folder" in refused(capsys, "--samples", str(tmp_path / "none" / "samples.png"))


def test_a_folder_without_write_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written to" in refused(capsys, "--samples", str(tmp_path / "samples.png"))
    tmp_path.chmod(0o700)


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    file = tmp_path / "samples.png"
    args = arguments("--samples", str(file), "--device", "cpu")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(lab.LabError, match="No space left"):
        lab.finish(args, lab.networks(args)[0])
    assert list(tmp_path.iterdir()) == []
    assert len(capsys.readouterr().err.splitlines()) == 2

"""graphlab render draws from a saved trace, and writes single steps as PNGs or as a film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Main = Callable[..., tuple[int, str, str]]
SCRIPT = """\
import torch

weight = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.1)
first = weight.square().sum()
second = weight.square().mean()
first.backward()
optimizer.step()
second.backward()
"""


@pytest.fixture(scope="module")
def trace(command_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    (folder / "train.py").write_text(SCRIPT)
    command_in(folder, "run", "train.py", "--trace", "train.json")
    return folder / "train.json"


def size(png: bytes) -> bytes:
    assert png.startswith(b"\x89PNG")
    return png[16:24]


def test_a_figure_from_a_trace(trace: Path, tmp_path: Path, main: Main) -> None:
    path = tmp_path / "x.svg"
    assert main("render", str(trace), "-o", str(path))[0] == 0
    text = path.read_text()
    assert "③ backward(), line 9" in text and "GL001" in text
    code, out, _ = main("render", str(trace), "-o", "-", "--format", "text")
    assert code == 0 and "③ backward(), line 9" in out


def test_a_png_for_each_step(trace: Path, tmp_path: Path, main: Main) -> None:
    folder = tmp_path / "frames"
    code, out, said = main("render", str(trace), "--steps", "7-9", "-o", f"{folder}/")
    assert (code, out.strip()) == (0, f"{folder}/"), said
    files = sorted(folder.iterdir())
    assert [each.name for each in files] == ["step-007.png", "step-008.png"]
    assert len({size(each.read_bytes()) for each in files}) == 1, "nothing moves"
    assert len({each.read_bytes() for each in files}) == len(files)
    again, _, said = main("render", str(trace), "--steps", "7-9", "-o", f"{folder}/")
    assert again == 2 and "--force" in said


def test_a_film(trace: Path, tmp_path: Path, main: Main) -> None:
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "lesson.gif"
    assert main("render", str(trace), "-o", str(path))[0] == 0
    with image.open(path) as film:
        assert film.n_frames >= 5
        assert film.info["duration"] >= 1000


@pytest.mark.parametrize(
    "words, said",
    [
        (["--steps", "all"], "-o frames/"),
        (["--steps", "all", "-o", "x.svg"], "-o lesson.gif"),
        (["--steps", "some", "-o", "frames"], "invalid value 'some' for --steps"),
        (["--steps", "0", "-o", "frames"], "invalid value '0' for --steps"),
        (["--steps", "all", "-o", "frames", "--level", "op"], "--level has no effect"),
        (["--steps", "all", "-o", "frames", "--format", "png"], "--format"),
    ],
)
def test_what_it_refuses(trace: Path, main: Main, words: list[str], said: str) -> None:
    code, _, error = main("render", str(trace), *words)
    assert code == 2 and said in error and "help: " in error

"""Writes the steps of a recorded iteration for `graphlab render --steps`: PNGs, or one GIF."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.commands.drawing.choice import Choice
from graphlab.errors import UserError
from graphlab.output import files, streams

if TYPE_CHECKING:
    from graphlab.api.player import RecordedRun

# A GIF shows a step so long, and so much longer for each letter of its sentence, in milliseconds.
STANDS, PER_LETTER, LONGEST = 1200, 25, 8000
# How many steps are drawn at most: each is laid out by itself.
MOST = 300


def wanted(choice: Choice) -> bool:
    """Whether steps are asked for, and not one figure."""
    return choice.steps is not None or _is_film(choice.output)


def check(choice: Choice) -> None:
    """Refuse what cannot be written, before the program runs.

    Raises:
        UserError: for an output that is neither a folder nor a GIF, steps that cannot be read, and
            a GIF without Pillow.
    """
    output = choice.output
    if output is None or output == "-" or (Path(output).suffix and not _is_film(output)):
        raise UserError(
            "--steps writes one PNG a step, or a film",
            "name a folder, -o frames/, or a film, -o lesson.gif",
        )
    if choice.format is not None:
        raise UserError("--steps takes no --format", "remove it: a folder gets PNGs")
    _numbers(choice.steps or "all", 1)
    if _is_film(output):
        _image()
        files.check(output, choice.force)
    elif Path(output).exists() and not Path(output).is_dir():
        raise UserError(f"{output} is a file", "name a folder for the frames")


def write(run: RecordedRun, choice: Choice) -> None:
    """Draw the steps and write them.

    Raises:
        UserError: the run has no graph, Graphviz cannot draw it, or a file exists.
    """
    from graphlab.views.figure.layout import LayoutError
    from graphlab.views.player.frames import Frames

    assert choice.output is not None
    if run.film.graph is None:
        raise UserError(
            f"{run.trace.target} has no graph that was kept, so no steps can be drawn",
            "choose an iteration with a backward: --at N",
        )
    frames = Frames(run.trace, run.film, run.findings, choice.theme)
    steps = _numbers(choice.steps or "all", len(frames))
    if len(steps) > MOST:
        raise UserError(
            f"{len(steps)} steps are too many to draw one by one", "choose some: --steps 1-40"
        )
    folder = Path(choice.output)
    paths = [folder / f"step-{step + 1:03}.png" for step in steps]
    if not _is_film(choice.output):
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            files.check(str(path), choice.force)
    drawn: list[tuple[bytes, int]] = []
    for at, frame in enumerate(frames.of(steps)):
        try:
            made = frame.png(choice.timeout)
        except LayoutError as error:
            raise UserError(
                f"Graphviz could not draw step {frame.step + 1}: {error}",
                "give it more time: --timeout 60",
            ) from None
        if _is_film(choice.output):
            drawn.append((made, min(LONGEST, STANDS + PER_LETTER * len(frame.said))))
        else:
            files.write(str(paths[at]), made, choice.force)
    if drawn:
        files.write(choice.output, _film(drawn), choice.force)
    streams.line(choice.output, streams.out())


def _is_film(output: str | None) -> bool:
    return Path(output or "").suffix.lower() == ".gif"


def _numbers(text: str, total: int) -> list[int]:
    """The steps that `text` names, such as ``all``, ``3`` or ``2,5-9``; they count from 1 there,
    and from 0 here. Those after the last are left out."""
    if text == "all":
        return list(range(total))
    found: dict[int, None] = {}
    for word in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", word)
        if not match or int(match[1]) == 0:
            raise UserError(
                f"invalid value {text!r} for --steps", "write all, a number, or such as 2,5-9"
            )
        last = min(int(match[2] or match[1]), total)
        found.update(dict.fromkeys(range(int(match[1]) - 1, last)))
    return list(found)


def _image() -> object:
    try:
        from PIL import Image
    except ImportError:
        raise UserError("a GIF takes Pillow", "pip install 'graphlab[gif]'") from None
    return Image


def _film(drawn: Sequence[tuple[bytes, int]]) -> bytes:
    """A GIF of PNGs and their times, in milliseconds. It plays once."""
    from PIL import Image

    images = [Image.open(io.BytesIO(made)).convert("RGB") for made, _ in drawn]
    # All have the colours of all: else each frame would choose a palette of its own, and flicker.
    palette = images[-1].quantize(256)
    flat = [each.quantize(palette=palette) for each in images]
    into = io.BytesIO()
    flat[0].save(
        into, "GIF", save_all=True, append_images=flat[1:], duration=[time for _, time in drawn],
        optimize=False,
    )  # fmt: skip
    return into.getvalue()

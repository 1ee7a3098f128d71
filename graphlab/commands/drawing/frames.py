"""Writes the steps of a recorded iteration for `graphlab render --steps`: PNGs, or one GIF."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.commands.drawing.choice import Choice
from graphlab.errors import UserError
from graphlab.language import message
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
        raise UserError(message("usage.draw.steps_write"), message("usage.draw.folder_or_film"))
    if choice.format is not None:
        raise UserError(message("usage.draw.steps_format"), message("usage.draw.gets_pngs"))
    _numbers(choice.steps or "all", 1)
    if _is_film(output):
        _image()
        files.check(output, choice.force)
    elif Path(output).exists() and not Path(output).is_dir():
        raise UserError(
            message("usage.draw.is_file", path=output), message("usage.draw.frames_folder")
        )


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
            message("usage.draw.no_kept_graph", name=run.trace.target),
            message("usage.draw.with_backward"),
        )
    frames = Frames(run.trace, run.film, run.findings, choice.theme)
    steps = _numbers(choice.steps or "all", len(frames))
    if len(steps) > MOST:
        raise UserError(
            message("usage.draw.many_steps", count=len(steps)), message("usage.draw.some_steps")
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
                message("usage.draw.step_layout", step=frame.step + 1, why=str(error)),
                message("usage.draw.more_time"),
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
                message("usage.invalid", value=repr(text), option="--steps"),
                message("usage.draw.step_numbers"),
            )
        last = min(int(match[2] or match[1]), total)
        found.update(dict.fromkeys(range(int(match[1]) - 1, last)))
    return list(found)


def _image() -> object:
    try:
        from PIL import Image
    except ImportError:
        install = "pip install 'graphlab[gif]'"
        raise UserError(message("usage.draw.needs_pillow"), install) from None
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

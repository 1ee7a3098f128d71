"""Plots a comparison with training: sample images and curves; needs matplotlib."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphlab.text import one_line
from graphlab.trace.comparison import Comparison, Image, LoopTraining, Training
from graphlab.views.comparison.tables import judged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart; reused for further loops.
COLOURS = ("#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#7F4F24", "#555555")
INK, FAINT = "#1b1b1b", "#8a8a8a"
STYLE: dict[Any, Any] = {
    "font.size": 13.0,
    "font.family": "sans-serif",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    # A dollar sign in a file's name must not start a formula.
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 14.0,
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    # The same numbers must give the same file, byte for byte.
    "svg.hashsalt": "graphlab",
}
WIDTH, DPI = 16.0, 120
# Images in one row of samples.
ACROSS = 12


def available() -> bool:
    """Whether matplotlib can be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def figure(comparison: Comparison, form: str = "png") -> bytes:
    """The samples of every loop with their statistics, next to the curves of the training.

    `form` is png, pdf or svg. Raises ImportError without matplotlib, and ValueError for a
    comparison without training.
    """
    training = comparison.training
    if training is None:
        raise ValueError("nothing was trained, so there is nothing to draw")
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        rows = len(training.loops) + 1
        drawing = Figure(figsize=(WIDTH, max(9.0, 0.4 + 1.9 * rows)))
        FigureCanvasAgg(drawing)
        parts: Any = drawing.subfigures(1, 2, width_ratios=(0.56, 0.44))
        left, right = parts
        _samples(left, training)
        _curves(right, training)
        target = io.BytesIO()
        stamp = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}[form]
        drawing.savefig(target, format=form, dpi=DPI, facecolor="white", metadata={stamp: None})
    return target.getvalue()


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _samples(part: Any, training: Training) -> None:
    """Draws a block of images for each loop, below one of real images, each with its statistics."""
    real = training.real
    blocks = [("real images", INK, training.real_images, _numbers(
        f"{real.mean:.2f}", f"{real.spread:.2f}", f"{real.nearest:.2f}", f"{real.distinct}"
    ))]  # fmt: skip
    for number, loop in enumerate(training.loops):
        blocks.append((one_line(loop.name), _colour(number), loop.images, _told(loop)))
    axes = part.subplots(len(blocks), 1)
    part.subplots_adjust(left=0.03, right=0.97, top=0.93, bottom=0.02, hspace=0.5)
    for ax, (name, colour, images, numbers) in zip(axes, blocks, strict=True):
        picture = _block(images)
        ax.imshow(picture, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        ax.set_axis_off()
        ax.set_anchor("NW")
        ax.annotate(
            name, (0, 1), (0, 19), xycoords="axes fraction", textcoords="offset points",
            color=colour, weight="bold", size=16, va="bottom",
        )  # fmt: skip
        ax.annotate(
            numbers, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
            size=11.5, color="#444444", va="bottom",
        )  # fmt: skip


def _told(loop: LoopTraining) -> str:
    raised = next((run for run in loop.runs if run.exception is not None), None)
    said = _numbers(*judged(loop))
    if raised is not None:
        return f"{raised.exception} in iteration {raised.iterations}.  {said}"
    return said


def _numbers(mean: str, spread: str, nearest: str, distinct: str) -> str:
    return (
        f"grey {mean}    spread {spread}    nearest real {nearest}    distinct {distinct}"
    ).replace("-", "−")


def _block(images: list[Image]) -> list[list[float]]:
    """The first channels of `images` as one image: rows of `ACROSS`, separated by white lines."""
    block: list[list[float]] = []
    for start in range(0, len(images), ACROSS):
        if block:
            block.append([1.0] * len(block[0]))
        chosen = images[start : start + ACROSS]
        for y in range(len(chosen[0][0])):
            row: list[float] = []
            for at, image in enumerate(chosen):
                row.extend(([1.0] if at else []) + image[0][y])
            block.append(row + [1.0] * (len(block[0]) - len(row) if block else 0))
    return block


def _curves(part: Figure | Any, training: Training) -> None:
    axes = part.subplots(4, 1, sharex=True)
    part.subplots_adjust(left=0.115, right=0.83, top=0.955, bottom=0.07, hspace=0.42)
    _loss(axes[0], training, "D_loss_", lambda each: each.D_loss_)
    _loss(axes[1], training, "G_loss_", lambda each: each.G_loss_)
    _dots(
        axes[2], training, "How much of G's gradient comes from D_loss_",
        lambda each: each.foreign_share,
    )  # fmt: skip
    axes[2].set_ylim(-0.06, 1.06)
    axes[2].set_yticks((0, 0.5, 1), ("0", "half", "all"))
    _dots(
        axes[3], training, "Does G's step follow G_loss_? (cosine of the two)",
        lambda each: each.cosine_to_own,
    )  # fmt: skip
    axes[3].set_ylim(-1.12, 1.12)
    axes[3].set_yticks((-1, 0, 1), ("against", "across", "along"))
    axes[3].axhline(0, color=FAINT, lw=0.8, zorder=0)
    axes[3].set_xlabel("epoch")
    axes[3].set_xlim(0, training.epochs)


def _loss(ax: Axes, training: Training, title: str, value: Callable[[Any], float]) -> None:
    """Draws the median over the seeds as a line, and the range as a band."""
    ax.set_title(title)
    for number, loop in enumerate(training.loops):
        length = min(len(run.losses) for run in loop.runs)
        epochs = [
            each.iterations / training.iterations_per_epoch for each in loop.runs[0].losses[:length]
        ]
        columns = [[value(run.losses[at]) for run in loop.runs] for at in range(length)]
        colour = _colour(number)
        ax.fill_between(
            epochs, [min(each) for each in columns], [max(each) for each in columns],
            color=colour, alpha=0.18, lw=0,
        )  # fmt: skip
        middle = [statistics.median(each) for each in columns]
        ax.plot(epochs, middle, color=colour, lw=2.2, label=one_line(loop.name))
    for guide in training.guides:
        height = guide.D_loss_ if title == "D_loss_" else guide.G_loss_
        ax.axhline(height, color=INK, lw=1, ls=(0, (1, 2)), zorder=0)
        ax.text(
            1.02, height, guide.label, transform=ax.get_yaxis_transform(), va="center", size=10.5,
            color="#444444",
        )  # fmt: skip


def _dots(ax: Axes, training: Training, title: str, value: Callable[[Any], float | None]) -> None:
    """Draws a dot for every sampled step of every seed. Loops are shifted a little, and the first
    is on top, because their values may coincide."""
    ax.set_title(title)
    for number, loop in reversed(list(enumerate(training.loops))):
        shift = 0.25 * number
        points = [
            (each.iteration / training.iterations_per_epoch + shift, height)
            for run in loop.runs
            for each in run.applied
            if (height := value(each)) is not None
        ]
        ax.scatter(
            [x for x, _ in points], [y for _, y in points], s=16, color=_colour(number),
            alpha=0.6, lw=0, clip_on=False,
        )  # fmt: skip

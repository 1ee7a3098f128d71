"""Renders a comparison as tables: for the terminal, in Markdown, and as one HTML page."""

from __future__ import annotations

import base64
import html as escaping
import statistics
from collections.abc import Callable, Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from graphlab.text import one_line, plural
from graphlab.trace.comparison import (
    Comparison,
    Loop,
    LoopTraining,
    Training,
    VectorDifference,
    mean,
    turns,
)
from graphlab.views.comparison import grids
from graphlab.views.comparison.grids import Cell, Column, Grid

NONE = Cell("–", "quiet")
# A relative error below this is rounding: the update counts as equal to the reference.
SAME = 1e-3


def printed(comparison: Comparison) -> RenderableType:
    """The tables for a terminal of at least 80 columns."""
    parts: list[RenderableType] = [Text(_head(comparison))]
    for grid in _grids(comparison):
        parts.extend((Text(), grids.printed(grid)))
    return Group(*parts)


def markdown(comparison: Comparison) -> str:
    """The tables in Markdown."""
    tables = [grids.markdown(grid) for grid in _grids(comparison)]
    return "\n".join([f"## Loops side by side\n\n{_head(comparison)}\n", *tables])


def html(comparison: Comparison, figure: bytes | None = None) -> str:
    """A self-contained page. `figure` is a PNG to show below the tables."""
    body = "\n".join(grids.html(grid) for grid in _grids(comparison))
    if figure is not None:
        data = base64.b64encode(figure).decode()
        body += f'\n<img alt="Samples and curves of each loop" src="data:image/png;base64,{data}">'
    return PAGE.format(head=escaping.escape(_head(comparison)), body=body)


def _head(comparison: Comparison) -> str:
    words = f", {one_line(' '.join(comparison.arguments))}" if comparison.arguments else ""
    return (
        f"{plural(len(comparison.loops), 'loop')}, {plural(comparison.steps, 'iteration')} each "
        f"from seed {comparison.seed}, same batches; "
        f"{comparison.device}, torch {comparison.torch}{words}"
    )


def _grids(comparison: Comparison) -> list[Grid]:
    found = [_updates(comparison)]
    if any(loop.forwards is not None for loop in comparison.loops):
        found.append(_costs(comparison))
    if comparison.training is not None:
        found.append(_trained(comparison.training))
        if any(run.applied for loop in comparison.training.loops for run in loop.runs):
            found.append(_gradients(comparison.training))
    return found


def _updates(comparison: Comparison) -> Grid:
    columns = [Column("loop", left=True), Column("found", left=True)]
    for network in ("D", "G"):
        columns.extend((Column("moved", network), Column("error", network), Column("cos", network)))
    columns.append(Column("lowest", "G"))
    rows = []
    for loop in comparison.loops:
        row = [Cell(loop.name), _found(loop)]
        for network in ("D", "G"):
            there = turns(loop, network)
            changed = sum(turn.changed for turn in there)
            row.append(Cell(str(changed), "" if changed else "bad"))
            beside = [turn.update for turn in there if turn.update is not None]
            row.extend((_error(beside), _cosine(mean([each.cosine for each in beside]))))
        lowest = [t.update.cosine for t in turns(loop, "G") if t.update is not None]
        row.append(_cosine(min((each for each in lowest if each is not None), default=None)))
        rows.append(tuple(row))
    return Grid(
        "What each loop did to the weights",
        tuple(columns),
        tuple(rows),
        "moved: iterations that changed the network's weights. error: |update − reference| / "
        "|reference|; cos: the cosine of the two; means over the iterations, and lowest the worst "
        "one. Reference: D steps on D_loss_ at the weights it has, then G on G_loss_ at the new D.",
    )


def _found(loop: Loop) -> Cell:
    codes = list(dict.fromkeys(each.code for each in loop.findings if each.severity != "info"))
    if loop.exception is not None:
        return Cell(codes[0] if codes else loop.exception, "bad")
    if not codes:
        return Cell("clean", "good")
    more = f"+{len(codes) - 1}" if len(codes) > 1 else ""
    return Cell(codes[0] + more, "warning")


def _error(beside: list[VectorDifference]) -> Cell:
    value = mean([each.relative_error for each in beside])
    if value is None:
        return NONE
    return Cell("0" if value == 0 else f"{value:.2f}", "good" if value < SAME else "")


def _cosine(value: float | None) -> Cell:
    if value is None:
        return NONE
    return Cell(_signed(value), "bad" if value < 0 else "good" if value > 1 - SAME else "")


def _signed(value: float) -> str:
    """A number with its sign and two decimals, with a real minus sign and without minus zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _costs(comparison: Comparison) -> Grid:
    whole = [loop for loop in comparison.loops if loop.forwards is not None]
    on_gpu = any(loop.cuda_peak_bytes is not None for loop in whole)
    columns = [
        Column("loop", left=True), Column("of G", "forward"), Column("of D", "forward"),
        Column("passes", "backward"), Column("saved", "memory"),
    ]  # fmt: skip
    if on_gpu:
        columns.append(Column("GPU peak", "memory"))
    columns.append(Column("an iteration", "time"))
    rows = []
    for loop in whole:
        assert loop.forwards is not None
        row = [Cell(loop.name)]
        row.extend(_number(loop.forwards.get(network)) for network in ("G", "D"))
        row.extend((_number(loop.backwards), _bytes(loop.saved_bytes)))
        if on_gpu:
            row.append(_bytes(loop.cuda_peak_bytes))
        row.append(Cell(f"{loop.time_ratio:.2f} ×") if loop.time_ratio is not None else NONE)
        rows.append(tuple(row))
    left = len(comparison.loops) - len(whole)
    raised = f" Left out: {plural(left, 'loop')} that raised." if left else ""
    fastest = min((loop.seconds for loop in whole if loop.seconds is not None), default=None)
    unit = f" 1.00 × is {fastest * 1e3:.2g} ms." if fastest is not None else ""
    return Grid(
        "What an iteration costs",
        tuple(columns),
        tuple(rows),
        "saved: the most bytes that autograd kept at once for its backwards, weights not counted. "
        f"time: unwatched, beside the fastest loop.{unit}{raised}",
    )


def _number(value: float | None) -> Cell:
    return NONE if value is None else Cell(f"{value:.2f}".rstrip("0").rstrip("."))


def _bytes(value: int | None) -> Cell:
    if value is None:
        return NONE
    size, unit = float(value), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return Cell(f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}")


def _trained(training: Training) -> Grid:
    columns = [
        Column("loop", left=True), Column("ran"), Column("mean", "grey value"),
        Column("spread", "grey value"), Column("nearest", "real images"),
        Column("distinct", "real images"),
    ]  # fmt: skip
    real = training.real
    rows: list[tuple[Cell, ...]] = [
        (
            Cell("real images", "quiet"), NONE, Cell(_signed(real.mean)),
            Cell(_signed(real.spread)), Cell(_signed(real.nearest)), Cell(str(real.distinct)),
        )
    ]  # fmt: skip
    whole = training.epochs * training.iterations_per_epoch
    for loop in training.loops:
        ran = min(run.iterations for run in loop.runs)
        cells = [Cell(loop.name), Cell(str(ran), "bad" if ran < whole else "")]
        rows.append((*cells, *(Cell(text) for text in judged(loop))))
    count = len(training.seeds)
    spread = f" mean ± standard deviation over {plural(count, 'seed')}." if count > 1 else ""
    return Grid(
        f"After {plural(training.epochs, 'epoch')}: {real.samples} images of each G",
        tuple(columns),
        tuple(rows),
        "grey values from −1, black, to 1, white. nearest: root mean square difference to the "
        "nearest real image. distinct: real images that are the nearest to some image of G's. "
        f"ran: iterations that ended.{spread}",
    )


def _gradients(training: Training) -> Grid:
    columns = (
        Column("loop", left=True), Column("steps"), Column("foreign share"), Column("cos"),
        Column("against"),
    )  # fmt: skip
    rows = []
    for loop in training.loops:
        sampled = sum(len(run.applied) for run in loop.runs)
        shares = [mean([each.foreign_share for each in run.applied]) for run in loop.runs]
        cosines = [[each.cosine_to_own for each in run.applied] for run in loop.runs]
        against = [
            mean([float(value < 0) for value in each if value is not None]) for each in cosines
        ]
        rows.append(
            (
                Cell(loop.name), Cell(str(sampled)), Cell(over_seeds(shares, _percent)),
                Cell(over_seeds([mean(each) for each in cosines], _signed)),
                Cell(over_seeds(against, _percent)),
            )
        )  # fmt: skip
    return Grid(
        "What G's optimizer applied meanwhile",
        columns,
        tuple(rows),
        "foreign share: of losses other than G's own, in the applied gradient. cos: of the applied "
        "gradient with the part that G's own loss put there; against: steps in which it is below "
        "0. Over the sampled steps, all seeds together.",
    )


def judged(loop: LoopTraining) -> tuple[str, str, str, str]:
    """The texts for mean, spread, nearest and distinct of a loop's images, over its seeds."""
    of = [run.judged for run in loop.runs]
    return (
        over_seeds([each.mean for each in of], _signed),
        over_seeds([each.spread for each in of], _signed),
        over_seeds([each.nearest for each in of], _signed),
        over_seeds([float(each.distinct) for each in of], lambda value: f"{value:.0f}"),
    )


def over_seeds(values: Iterable[float | None], form: Callable[[float], str]) -> str:
    """The mean of the values that are not None, with ± standard deviation if there are several."""
    there = [value for value in values if value is not None]
    if not there:
        return "–"
    said = form(statistics.fmean(there))
    if len(there) > 1:
        said += f" ± {form(statistics.stdev(there))}"
    return said


def _percent(value: float) -> str:
    return f"{value:.0%}"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Loops side by side</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #c62828;
  --warning: #9a6700; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --good: #56d364; --bad: #ff7b72; --warning: #e3b341; }}
}}
body {{ font: 1.05rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2.5rem auto;
  padding: 0 1.2rem; }}
section {{ margin: 2.2rem 0; overflow-x: auto; }}
h1 {{ font-size: 1.7rem; }}
h2 {{ font-size: 1.25rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .3rem .9rem .3rem 0; text-align: right; font-weight: 400;
  white-space: nowrap; }}
thead th {{ opacity: .7; }}
thead tr:last-child {{ border-bottom: 1px solid var(--line); }}
[data-left] {{ text-align: left; }}
tbody th {{ font-family: ui-monospace, monospace; font-size: .95em; }}
.good {{ color: var(--good); }}
.bad {{ color: var(--bad); }}
.warning {{ color: var(--warning); }}
.quiet {{ opacity: .6; }}
p {{ max-width: 46rem; opacity: .8; }}
img {{ max-width: 100%; background: #fff; }}
</style>
</head>
<body>
<h1>Loops side by side</h1>
<p>{head}</p>
{body}
</body>
</html>
"""

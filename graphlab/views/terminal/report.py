"""The report of a run in the terminal: short, or the whole story."""

from __future__ import annotations

import io
import os
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.text import Text

from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.views import streams
from graphlab.views.terminal.ledger import Ledger
from graphlab.views.console import Screen
from graphlab.views.terminal.story import Story, headline
from graphlab.views.visible import one_line

MARKS = {"completed": ("✓", "green"), "raised": ("✗", "red"), "interrupted": ("■", "yellow")}


def stdout() -> Console:
    """Results go here. 80 columns where there is no terminal to ask."""
    return _console(streams.out())


def stderr() -> Console:
    """Progress and notices go here."""
    return _console(streams.err())


def emit(console: Console, *parts: RenderableType) -> None:
    """Print without the blanks that rich pads lines with: a pipe or a copied text keeps none."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    console.file.flush()


def text(*parts: RenderableType, width: int = 80) -> str:
    """The same as one string without colour, for a message that is shown elsewhere."""
    file = io.StringIO()
    emit(Screen(file=file, width=width, color_system=None, highlight=False, emoji=False,
                markup=False, force_jupyter=False), *parts)  # fmt: skip
    return file.getvalue()


def _console(file: TextIO) -> Console:
    console = Screen(file=file, highlight=False, soft_wrap=False, emoji=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 80
    return console


def short(trace: Trace, findings: list[Finding]) -> RenderableType:
    """Outcome, one line a finding, the ledger."""
    parts: list[RenderableType] = [_outcome(trace, findings)]
    parts.extend(headline(finding) for finding in findings)
    if trace.optimizers:
        parts.extend((Text(), Ledger(trace, bars=False)))
    parts.extend(_notices(trace))
    return Group(*parts)


def full(trace: Trace, findings: list[Finding], shown_by: list[str]) -> RenderableType:
    """Every finding as a story, then the ledger, then which scenarios show the repair."""
    parts: list[RenderableType] = [_outcome(trace, findings)]
    grave = any(finding.severity != "info" for finding in findings)
    for finding in findings:
        # Beside what is wrong, what is merely worth knowing takes a line.
        brief = grave and finding.severity == "info"
        parts.extend((Text(), headline(finding) if brief else Story(finding)))
    if trace.optimizers:
        parts.extend((Text(), Text("Who changed what", "bold underline"), Ledger(trace)))
    if shown_by:
        parts.append(Text())
        for each in shown_by:
            parts.append(Text.assemble(("see:  ", "bold"), f"graphlab run {each}"))
    parts.extend(_notices(trace))
    return Group(*parts)


def _outcome(trace: Trace, findings: list[Finding]) -> Text:
    mark, style = MARKS[trace.outcome]
    said = trace.outcome
    if trace.exception is not None and trace.outcome == "raised":
        said = f"raised {one_line(trace.exception.type)}"
    if trace.iterations:
        noun = "iteration" if trace.iterations == 1 else "iterations"
        said += (
            f" after {trace.iterations} {noun}"
            if trace.outcome == "completed"
            else (f" in iteration {trace.iterations - 1}")
        )
    counts = [f for f in findings if f.severity != "info"]
    end = ""
    if trace.outcome == "completed" and not counts:
        end = ", nothing wrong seen" if not trace.unseen else "; it was not seen whole"
    return Text.assemble((f"{mark} ", style), (one_line(trace.target), "bold"), f" {said}{end}")


def _notices(trace: Trace) -> list[RenderableType]:
    return [Text(f"notice: {one_line(each)}", "dim", overflow="fold") for each in trace.unseen]

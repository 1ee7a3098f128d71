"""What graphlab learn shows: a verdict, the list of the exercises, a hint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from graphlab.language import say, told
from graphlab.learn.exercise import Exercise
from graphlab.learn.folder import Folder
from graphlab.learn.silencers import key
from graphlab.learn.trial import Held
from graphlab.learn.verdict import Verdict
from graphlab.views.terminal.ledger import Ledger
from graphlab.views.terminal.story import Story

# Lines of what the program printed that are shown, the last ones.
PRINTED = 8
BAR = 24


def verdict(found: Verdict) -> RenderableType:
    """The whole answer to an attempt."""
    title = found.exercise.title.rstrip(".")
    if found.passed:
        parts: list[RenderableType] = [
            Text.assemble(("✓ ", "green"), (say("learn.passed", title=title), "bold green"))
        ]
        if found.exercise.lesson:
            parts.append(Padding(Text(found.exercise.lesson), (1, 2, 0, 2)))
        return Group(*parts)
    parts = [Text.assemble(("✗ ", "red"), (say("learn.not_yet", title=title), "bold red"))]
    parts.extend(_printed(found))
    parts.extend(_problem(found))
    for finding in found.findings:
        # Its helps would give the repair away; hints are asked for.
        parts.extend((Text(), Story(finding, repairs=0)))
    if found.ended == "completed":
        parts.extend(_claims(found.held))
    for name in dict.fromkeys(each.name for each in found.silencers):
        lines = ", ".join(str(each.line) for each in found.silencers if each.name == name)
        where = Text(say("learn.silencer_in", name=name, lines=lines), "bold yellow")
        reason = Padding(Text(say(f"learn.silencer.{key(name)}")), (0, 2))
        parts.extend((Text(), where, reason))
    if found.ended == "completed" and found.trace is not None and found.trace.optimizers:
        parts.extend((Text(), Ledger(found.trace)))
    return Group(*parts)


def _printed(found: Verdict) -> Iterator[RenderableType]:
    lines = found.output.rstrip().splitlines()
    # Where a finding stands below, it tells what the traceback would.
    if not lines or (found.ended == "raised" and found.findings):
        return
    if len(lines) > PRINTED:
        lines = ["…", *lines[-PRINTED:]]
    yield Padding(Text("\n".join(lines), "dim", overflow="fold"), (0, 2))


def _problem(found: Verdict) -> Iterator[RenderableType]:
    if found.ended == "stopped":
        yield Text(say("learn.stopped", seconds=round(found.seconds)))
    elif found.ended == "lost":
        yield Text(say("learn.lost"))
    elif found.problem:
        yield Text(found.problem, overflow="fold")


def _claims(held: tuple[Held, ...]) -> Iterator[RenderableType]:
    missed = [each for each in held if each.why]
    if missed:
        yield Text()
        yield Text(say("learn.must_hold"), "bold")
    for each in missed:
        yield Text.assemble(("  ✗ ", "red"), each.claim.told())
        yield Padding(Text("\n".join(told(line) for line in (each.why, *each.evidence))), (0, 6))


def hint(number: int, given: int, text: str) -> RenderableType:
    """A hint, and which of how many it is; the lines of a diff are coloured."""
    title = Text(say("learn.hint.title", number=number, all=given), "bold cyan")
    shown = Text()
    for line in text.splitlines():
        style = {"+": "green", "-": "red", "⋮": "dim"}.get(line[:1], "")
        shown.append(f"{line}\n", style)
    shown.rstrip()
    return Group(title, Padding(shown, (0, 2)))


def progress(folder: Folder, known: list[Exercise]) -> Text:
    """A bar, and how many of the exercises are passed."""
    done = sum(folder.passed(each) for each in known)
    full = round(BAR * done / len(known))
    said = say("learn.progress", done=done, all=len(known))
    return Text.assemble(("█" * full, "green"), ("░" * (BAR - full), "dim"), f"  {said}")


def listing(folder: Folder, known: list[Exercise]) -> RenderableType:
    """The exercises by part, and which are passed."""
    parts: list[RenderableType] = []
    here = folder.current(known)
    for part in dict.fromkeys(each.part for each in known):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for each in (each for each in known if each.part == part):
            passed = folder.passed(each)
            mark = Text("✓", "green") if passed else Text("→" if each is here else "·")
            table.add_row(mark, Text(each.name), Text(each.title.rstrip("."), overflow="fold"))
        if part:
            parts.append(Text(part, "bold"))
        parts.extend((table, Text()))
    return Group(*parts, progress(folder, known))


def shown(path: Path) -> str:
    """A path from the working folder, where that is shorter."""
    try:
        near = os.path.relpath(path)
    except ValueError:
        return str(path)
    return near if len(near) < len(str(path)) and near != "." else str(path)

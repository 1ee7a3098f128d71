"""Renders one finding: its places in the order in which they ran, and the repair as a diff."""

from __future__ import annotations

import difflib
import os
import re
import textwrap

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from graphlab.language import say, told
from graphlab.text import lines_of, one_line, visible
from graphlab.trace.finding import Finding, Help, Place, Related
from graphlab.views.terminal.source_line import annotated, fold, wrap

# The file names that IPython and its kernel give to cells.
_CELL = re.compile(r"[/\\]ipykernel_\d+[/\\]\d+\.py$|^<ipython-input-")
# At most this many tensors are listed by name; the JSON report has all.
NAMED = 40
COLOURS = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}


def headline(finding: Finding) -> Text:
    """The finding in one line: severity, code and summary."""
    mark = f"{finding.severity}[{finding.code}]"
    where = (f" ({told(finding.where)})", "dim") if finding.where else ""
    said = one_line(told(finding.summary))
    return Text.assemble((mark, COLOURS[finding.severity]), ": ", said, where)


class Story:
    """A rich renderable of a finding with at most `repairs` of its helps."""

    def __init__(self, finding: Finding, repairs: int = 3) -> None:
        self.finding = finding
        self.repairs = repairs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        finding, width = self.finding, options.max_width
        yield headline(finding)
        steps = labelled_places(finding)
        if steps or finding.related:
            yield Text()
        # If the first place has no location, the file is that of the failed call.
        known = [place.at for place, *_ in (*steps[:1], *steps[::-1]) if place.at is not None]
        file = known[0].file if known else None
        if file is not None:
            at = finding.iteration
            moment = say("report.story.iteration", iteration=at) if at is not None else ""
            yield Text(f"  {one_line(shorten(file))}{moment}", "dim", overflow="fold")
        if any(version for _, _, version, _ in steps):
            yield Text(say("report.story.version"), "dim")
        last = file
        for place, label, version, style in steps:
            if place.at is not None and place.at.file != last:
                last = place.at.file
                yield Text(f"  {one_line(shorten(last))}", "dim", overflow="fold")
            yield from annotated(place.at, label, version, width, style)
        yield from _related(finding.related)
        for note in finding.notes:
            yield Text()
            yield _wrapped(say("report.story.note"), told(note), width, "bold")
        for help in finding.help[: self.repairs]:
            yield Text()
            yield _wrapped(say("report.story.help"), told(help.text), width, "bold green")
            yield from _diff(help, width)
        yield Text()
        more = say("report.story.more")
        yield Text.assemble((more, "bold"), f" graphlab explain {finding.code}")


def labelled_places(finding: Finding) -> list[tuple[Place, str, str, str]]:
    """(place, what happened there, text of the version column, style), in the order in which they
    ran."""
    tensor = finding.tensor
    saved_at = tensor.saved if tensor is not None else None
    now = tensor.current if tensor is not None else None
    name = (tensor.tensor.name if tensor is not None else None) or say("report.story.the_tensor")
    found: list[tuple[Place, str, str, str]] = []
    if finding.saved is not None:
        what = "saved" if tensor is not None else "built"
        within = "_in" if finding.saved.module else ""
        label = _label(f"{what}{_here(finding.saved)}{within}", finding.saved, name=name)
        found.append((finding.saved, label, _version(saved_at), "cyan"))
    # One place is told once.
    if finding.cause is not None and finding.cause not in (finding.mutated, finding.failed):
        found.append((finding.cause, _label("began", finding.cause), "", "yellow"))
    # A write that was refused changed nothing: it is told once, as what failed.
    refused = finding.failed is not None and finding.saved is None
    refused = refused and finding.mutated == finding.failed
    if finding.mutated is not None and not refused:
        moved = f"{_version(saved_at) or '?'} → {now}"
        change = moved if saved_at != now else say("report.story.unseen")
        change = change if now is not None or tensor is None else ""
        label = _label(f"written{_here(finding.mutated)}", finding.mutated)
        found.append((finding.mutated, label, change, "yellow"))
    if finding.freed is not None:
        label = _label(f"freed{_here(finding.freed)}", finding.freed)
        then = finding.freed.iteration
        if then is not None and then != finding.iteration:
            label = say("report.story.earlier", label=label, iteration=then)
        found.append((finding.freed, label, "", "yellow"))
    if finding.failed is not None:
        if tensor is not None and saved_at is None and now is not None:
            label = say("report.story.needed_as_saved", now=now)
        elif tensor is not None and now != saved_at:
            label = say("report.story.needed", saved=saved_at, now=now)
        elif tensor is not None and finding.saved is not None:
            label = say("report.story.used")
        elif finding.freed is not None:
            label = say("report.story.needed_again")
        elif finding.severity == "error":
            label = say("report.story.refused")
        else:
            label = _label("took_effect", finding.failed)
        found.append((finding.failed, label, _version(now), "bold red"))
    return [
        (place, f"{at}. {_known(place, label)}", version, style)
        for at, (place, label, version, style) in enumerate(found, 1)
    ]


def _label(key: str, place: Place, **names: str) -> str:
    return say(f"report.story.{key}", what=told(place.what), module=place.module, **names)


def _here(place: Place) -> str:
    return "_here" if place.at is not None else ""


def _known(place: Place, label: str) -> str:
    return label if place.at is not None else say("report.story.unknown", label=label)


def _version(version: int | None) -> str:
    return str(version) if version is not None and version >= 0 else ""


def _related(related: tuple[Related, ...]) -> RenderResult:
    """The other stale tensors, grouped by the line that saved them."""
    by_line: dict[tuple[int, str], list[str]] = {}
    for each in related:
        at, tensor = each.saved.at, each.tensor.tensor
        name = tensor.name or f"{list(tensor.shape)}"
        if at is None:
            key = (0, say("report.story.also_saved_unknown", what=told(each.saved.what)))
            name += f" ({_version(each.tensor.saved) or '?'} → {_version(each.tensor.current)})"
        else:
            key = (at.line, say("report.story.also_saved", line=at.line, code=at.code))
        by_line.setdefault(key, []).append(name)
    for index, ((_, where), names) in enumerate(sorted(by_line.items())):
        if index == 0:
            yield Text()
            yield Text(say("report.story.also_stale"), "bold")
        yield Text(f"  {one_line(where)}", overflow="fold")
        names = list(dict.fromkeys(names))
        if len(names) > NAMED:
            names[NAMED:] = [say("report.story.and_more", count=len(names) - NAMED)]
        yield Text(f"    {one_line(', '.join(names))}", overflow="fold")


def _wrapped(word: str, text: str, width: int, style: str) -> Text:
    lead = cell_len(word)
    lines = wrap(visible(text), max(20, width - lead)) or [""]
    joined = ("\n" + " " * lead).join(lines)
    return Text.assemble((word, style), joined)


def _diff(help: Help, width: int) -> RenderResult:
    for sign, text in changed_lines(help):
        if sign == "⋮":
            yield Text("      ⋮", "dim")
            continue
        style = {"+": "green", "-": "red"}.get(sign, "dim")
        for at, piece in enumerate(fold(one_line(text), width - 8)):
            # The rest of a folded line is indented.
            lead = f"    {sign} " if at == 0 else "        "
            yield Text(f"{lead}{piece}".rstrip(), style)


def changed_lines(help: Help) -> list[tuple[str, str]]:
    """The lines (sign, text) of a repair's diff. The sign is one of ``+- ``, or ``⋮`` where lines
    are left out."""
    if not help.before and not help.after:
        return []
    before = lines_of(help.before) if help.before.strip() else []
    # What both have in common goes: a line that is only indented further shows as that.
    lines = textwrap.dedent("\n".join([*before, *lines_of(help.after)])).split("\n")
    before, after = lines[: len(before)], lines[len(before) :]
    found: list[tuple[str, str]] = []
    hunks = 0
    for each in difflib.unified_diff(before, after, n=1, lineterm=""):
        if each.startswith(("---", "+++")):
            continue
        if each.startswith("@@"):
            hunks += 1
            if hunks > 1:
                # Marks that lines are left out between two hunks.
                found.append(("⋮", ""))
            continue
        found.append((each[:1], each[1:]))
    return found


def shorten(file: str) -> str:
    """A file's name for display: relative to the working directory if that is shorter, and a phrase
    for a notebook cell."""
    if _CELL.search(file):
        return say("report.story.cell")
    try:
        relative = os.path.relpath(file)
    except ValueError:
        return file
    if len(relative) < len(file) and not relative.startswith(".."):
        return relative
    # graphlab's own scenarios are shown from their folder on, wherever it is installed.
    inside = file.replace(os.sep, "/").rfind("/scenarios/")
    return file[inside + 1 :] if inside >= 0 else file

"""Renders the report of a run for the terminal, short or in full, and that of a post-mortem."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from graphlab.language import say, told
from graphlab.text import one_line
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, Trace
from graphlab.trace.ranks.joint import Joint, ranks_in_words
from graphlab.views.terminal.ledger import Ledger
from graphlab.views.terminal.story import Story, headline

MARKS = {"completed": ("✓", "green"), "raised": ("✗", "red"), "interrupted": ("■", "yellow")}


def short(trace: Trace, findings: list[Finding]) -> RenderableType:
    """The outcome, one line for each finding, and the ledger."""
    parts: list[RenderableType] = [_outcome(trace, findings)]
    parts.extend(headline(finding) for finding in findings)
    if trace.optimizers:
        parts.extend((Text(), Ledger(trace, bars=False)))
    parts.extend(_notices(trace))
    return Group(*parts)


def full(trace: Trace, findings: list[Finding], shown_by: list[str]) -> RenderableType:
    """The outcome, every finding in full, the ledger, and the scenarios that show the repair."""
    parts: list[RenderableType] = [_outcome(trace, findings)]
    grave = any(finding.severity != "info" for finding in findings)
    for finding in findings:
        # Next to errors and warnings, an info takes one line.
        brief = grave and finding.severity == "info"
        parts.extend((Text(), headline(finding) if brief else Story(finding)))
    if trace.optimizers:
        parts.extend((Text(), Text(say("report.who"), "bold underline"), Ledger(trace)))
    if shown_by:
        parts.append(Text())
        for each in shown_by:
            parts.append(Text.assemble((say("report.see"), "bold"), f"  graphlab run {each}"))
    parts.extend(_notices(trace))
    return Group(*parts)


def to_find_out(command: str) -> RenderableType:
    """The last line of a report: the command of a second run that tells more."""
    line = Text.assemble((say("report.to_find_out"), "bold"), f" {one_line(command)}")
    line.overflow = "fold"
    return Group(Text(), line)


def joint(joint: Joint, findings: list[Finding], explain: bool) -> RenderableType:
    """The report of several ranks: how they ended, each finding once, and the lowest one's
    ledger."""
    lead = joint.lead()
    shown = full(lead, findings, []) if explain else short(lead, findings)
    ends: dict[str, tuple[Text, list[int]]] = {}
    for rank, trace in joint.traces.items():
        text = _outcome(replace(trace, unseen=lead.unseen), findings)
        ends.setdefault(text.plain, (text, []))[1].append(rank)
    parts = [
        Text.assemble(text, (f" ({told(joint.where(ranks))})", "dim"))
        for text, ranks in ends.values()
    ]
    if joint.missing:
        gone = f" {ranks_in_words(joint.missing)} left no trace, as one that is killed leaves none"
        parts.append(Text.assemble((MARKS["raised"][0], MARKS["raised"][1]), gone))
    assert isinstance(shown, Group)
    return Group(*parts, *shown.renderables[1:])


def _all_clear(trace: Trace) -> str:
    """ "nothing wrong seen" is said only where there was something to see, and all of it was."""
    if trace.unseen:
        return say("report.clear.unseen")
    if not any(isinstance(each, Backward) for each in trace.events):
        return say("report.clear.no_backward")
    if not any(each.steps for each in trace.optimizers):
        return say("report.clear.no_step")
    return say("report.clear.nothing_wrong")


def _outcome(trace: Trace, findings: list[Finding]) -> Text:
    mark, style = MARKS[trace.outcome]
    error = trace.exception
    kind = one_line(error.type) if error is not None else ""
    how = "threw" if trace.outcome == "raised" and kind else trace.outcome
    failed = error.iteration if error is not None else None
    if failed is None and trace.iterations:
        failed = trace.iterations - 1
    if trace.outcome == "completed" and trace.iterations:
        said = say("report.outcome.after", count=trace.iterations)
    elif trace.outcome != "completed" and failed is not None:
        said = say(f"report.outcome.{how}_in", error=kind, iteration=failed)
    else:
        said = say(f"report.outcome.{how}", error=kind)
    counts = [f for f in findings if f.severity != "info"]
    end = ""
    if trace.outcome == "completed" and not counts:
        end = _all_clear(trace)
    return Text.assemble(
        (f"{mark} ", style), (one_line(told(trace.target)), "bold"), f" {said}{end}"
    )


def _notices(trace: Trace) -> list[RenderableType]:
    return [_notice(each) for each in trace.unseen]


def _notice(text: str) -> Text:
    return Text(f"{say('report.notice')} {one_line(told(text))}", "dim", overflow="fold")


class PostMortem:
    """A rich renderable of a post-mortem; its last line suggests `command`."""

    def __init__(self, trace: Trace, findings: list[Finding], command: str) -> None:
        self.trace, self.findings, self.command = trace, findings, command

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for finding in self.findings:
            yield Story(finding)
        if not self.findings and self.trace.exception is not None:
            yield Text(say("report.no_more", error=one_line(self.trace.exception.type)))
        yield from _notices(self.trace)
        yield Text.assemble(
            (say("report.to_confirm"), "bold"), f" {one_line(self.command)}", overflow="fold"
        )

"""The finding that a traceback alone supports, and the command that would tell the rest."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.views.terminal.story import Story
from graphlab.views.visible import one_line


class PostMortem:
    """A rich renderable; `command` stands in its last line."""

    def __init__(self, trace: Trace, findings: list[Finding], command: str) -> None:
        self.trace, self.findings, self.command = trace, findings, command

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for finding in self.findings:
            yield Story(finding)
        if not self.findings and self.trace.exception is not None:
            kind = self.trace.exception.type
            yield Text(
                f"this {one_line(kind)} is autograd's, but its traceback tells no more about it"
            )
        for each in self.trace.unseen:
            yield Text(f"notice: {one_line(each)}", "dim", overflow="fold")
        yield Text.assemble(("to be sure: ", "bold"), one_line(self.command), overflow="fold")

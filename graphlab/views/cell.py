"""What shows itself as a cell's output in a notebook."""

from __future__ import annotations

import io
import sys
from typing import Any, Protocol

from rich.console import RenderableType

from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.views import console as consoles
from graphlab.views.console import Screen
from graphlab.views.terminal import report as terminal
from graphlab.views.terminal.story import Story

WIDTH = 88


_HTML = (
    '<pre style="font-family: ui-monospace, Menlo, Consolas, monospace; line-height: 1.35; '
    'overflow-x: auto; white-space: pre"><code style="font-family: inherit">{code}</code></pre>\n'
)


def mime_bundle(*parts: RenderableType) -> dict[str, str]:
    """Rich renderables as a notebook takes them: plain text, and HTML with the colours."""
    console = Screen(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard",
        highlight=False, emoji=False, markup=False, legacy_windows=False, force_jupyter=False,
    )  # fmt: skip
    for part in parts:
        console.print(part)
    html = console.export_html(code_format=_HTML, inline_styles=True)
    return {"text/plain": consoles.text(*parts, width=WIDTH).rstrip("\n"), "text/html": html}


class ObservedRun(Protocol):
    """A session, as far as it is shown."""

    @property
    def trace(self) -> Trace: ...

    @property
    def findings(self) -> list[Finding]: ...


def report(session: ObservedRun) -> RenderableType:
    """What `graphlab run --explain` would print of a session."""
    return terminal.full(session.trace, session.findings, [])


class SessionReport:
    """A session's report as a cell's output."""

    def __init__(self, session: ObservedRun) -> None:
        self._session = session

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return mime_bundle(report(self._session))


def show_findings() -> None:
    """Where IPython is running: let a finding as the value of a cell be shown as in the report."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        shell.display_formatter.mimebundle_formatter.for_type(Finding, _drawn)


def _drawn(finding: Finding, **_: Any) -> dict[str, str]:
    return mime_bundle(Story(finding))

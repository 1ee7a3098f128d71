"""Shows reports and findings as the output of a notebook cell."""

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
    """Rich renderables as a MIME bundle: ``text/plain``, and ``text/html`` with colours."""
    console = Screen(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard",
        highlight=False, emoji=False, markup=False, legacy_windows=False, force_jupyter=False,
    )  # fmt: skip
    for part in parts:
        console.print(part)
    html = console.export_html(code_format=_HTML, inline_styles=True)
    return {"text/plain": consoles.text(*parts, width=WIDTH).rstrip("\n"), "text/html": html}


class ObservedRun(Protocol):
    """The part of a session that is shown."""

    @property
    def trace(self) -> Trace: ...

    @property
    def findings(self) -> list[Finding]: ...


def report(session: ObservedRun) -> RenderableType:
    """The report that `graphlab run --explain` prints, for a session."""
    return terminal.full(session.trace, session.findings, [])


class SessionReport:
    """Displays a session's report as the output of a cell."""

    def __init__(self, session: ObservedRun) -> None:
        self._session = session

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return mime_bundle(report(self._session))


def show_findings() -> None:
    """Register with IPython, if it runs, so that a finding as a cell's value is shown in full."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        shell.display_formatter.mimebundle_formatter.for_type(Finding, _drawn)


def _drawn(finding: Finding, **_: Any) -> dict[str, str]:
    return mime_bundle(Story(finding))

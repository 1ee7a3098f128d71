"""graphlab run: a scenario, a script or a module under observation."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.catalogue import Scenario, scenario, scenarios, suggestion
from graphlab.commands import files
from graphlab.errors import UserError
from graphlab.trace.model import Trace

if TYPE_CHECKING:
    from graphlab.observe.session import Session
    from graphlab.trace.film import Film


def run(
    target: str,
    arguments: list[str],
    *,
    is_module: bool = False,
    explain: bool = False,
    json_file: str | None = None,
    trace_file: str | None = None,
    strict: bool = False,
    force: bool = False,
    html_file: str | None = None,
    against: str | None = None,
    quiz: bool = False,
) -> int:
    """Run `target` and report. Returns the exit code: the program's own, 1 for a raise, 1 with
    `strict` where only a warning was found."""
    asked = Asked(explain, json_file, trace_file, strict, force, html_file, against, quiz)
    asked.check()
    found = None if is_module else resolve(target)

    from graphlab.observe import program
    from graphlab.views import terminal

    if is_module:
        what = program.module(target)
    else:
        what = program.script(str(found.path) if isinstance(found, Scenario) else target)

    from graphlab.commands.progress import Progress

    progress = Progress(terminal.stderr())
    name = found.name if isinstance(found, Scenario) else target
    sessions: list[Session] = []

    def started(session: Session) -> None:
        sessions.append(session)
        if asked.films:
            session.keep_film()
        progress.start(session)

    try:
        ran = program.run(what, arguments, name, started)
    finally:
        progress.stop()
    if ran.exit_code == 2 and not any(o.steps for o in ran.trace.optimizers):
        # A usage error of the script itself: it has said so, and there is nothing to report.
        return 2
    sys.stdout.flush()
    words = ["-m", target] if is_module else [target]
    words += ["--explain", *(["--", *arguments] if arguments else [])]
    again, shown = f"run {shlex.join(words)}", shown_by(found)
    film = _film(sessions[0], ran.trace) if asked.films else None
    return show(ran.trace, asked, again, shown, ran.exit_code, film, tuple(arguments))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line wants to be done with a Trace."""

    explain: bool
    json_file: str | None
    trace_file: str | None
    strict: bool
    force: bool
    html_file: str | None = None
    against: str | None = None
    quiz: bool = False

    @property
    def films(self) -> bool:
        return self.html_file is not None or self.trace_file is not None

    def check(self) -> None:
        """Refuse impossible files before anything runs."""
        named: dict[str, str] = {}
        for option, path in (
            ("--json", self.json_file),
            ("--trace", self.trace_file),
            ("--html", self.html_file),
        ):
            files.check(path, self.force)
            if path is None or path == "-":
                continue
            other = named.setdefault(os.path.abspath(path), option)
            if other != option:
                raise UserError(f"{other} and {option} both name {path}", "name two files")
        for option, given in (("--against", self.against is not None), ("--quiz", self.quiz)):
            if given and self.html_file is None:
                raise UserError(f"{option} is for the player", "add --html FILE")
        if self.against is not None:
            from graphlab.commands.player import check_against

            check_against(self.against)


def show(
    trace: Trace,
    asked: Asked,
    again: str,
    shown: list[str],
    exit_code: int,
    film: Film | None = None,
    arguments: tuple[str, ...] = (),
) -> int:
    """Write what was asked for and print the report. `again` is the command for the whole story;
    `arguments` are the script's, for the run that this one is shown against."""
    from graphlab.rules.registry import find
    from graphlab.trace.report import report
    from graphlab.views import terminal

    findings = find(trace)
    if asked.trace_file is not None:
        from graphlab.trace.film import dumps

        files.write(asked.trace_file, dumps(trace, film), asked.force)
    if asked.json_file is not None:
        text = json.dumps(report(trace, findings), indent=2) + "\n"
        files.write(asked.json_file, text, asked.force)
    taken = "-" in (asked.json_file, asked.html_file)
    console = terminal.stderr() if taken else terminal.stdout()
    if asked.explain:
        terminal.emit(console, terminal.full(trace, findings, shown))
    else:
        terminal.emit(console, terminal.short(trace, findings))
        if any(finding.severity != "info" for finding in findings):
            terminal.stderr().print(f"\nthe whole story: graphlab {again}", style="dim")
    if asked.html_file is not None:
        # Last: whatever becomes of the page, the report is there.
        from graphlab.commands.player import write

        write(trace, film, findings, asked, arguments)
        if asked.html_file != "-":
            terminal.stderr().print(f"\nthe player: {asked.html_file}", style="dim", soft_wrap=True)
    if exit_code == 0 and asked.strict and any(f.severity == "warning" for f in findings):
        return 1
    return exit_code


def _film(session: Session, trace: Trace) -> Film | None:
    from graphlab.play import filmed
    from graphlab.rules.registry import find

    return filmed(session, trace, find(trace))


def resolve(target: str) -> Scenario | None:
    """A scenario's name, or None for a file. A name with neither suffix nor folder in it can
    only be a scenario, so a misspelt one is answered with the nearest."""
    looks_like_file = target.endswith(".py") or os.sep in target or Path(target).is_file()
    if looks_like_file:
        if not Path(target).exists():
            near = suggestion(
                Path(target).stem, [each.name for each in scenarios()], "check the path"
            )
            raise UserError(f"there is no file {target}", near)
        return None
    return scenario(target)


def shown_by(found: Scenario | None) -> list[str]:
    """The scenarios that show the repair of this one, a line each."""
    if found is None:
        return []
    titles = {each.name: each.title.partition(": ")[2] for each in scenarios()}
    width = max((len(name) for name in found.repaired_by), default=0)
    return [f"{name:<{width}}  {titles[name]}" for name in found.repaired_by if name in titles]

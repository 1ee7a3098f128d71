"""graphlab run: a scenario, a script or a module under observation."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from graphlab.catalogue import Scenario, scenario, scenarios, suggestion
from graphlab.commands import files
from graphlab.errors import UserError
from graphlab.trace.model import Trace


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
) -> int:
    """Run `target` and report. Returns the exit code: the program's own, 1 for a raise, 1 with
    `strict` where only a warning was found."""
    asked = Asked(explain, json_file, trace_file, strict, force)
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
    try:
        ran = program.run(what, arguments, name, progress.start)
    finally:
        progress.stop()
    if ran.exit_code == 2 and not any(o.steps for o in ran.trace.optimizers):
        # A usage error of the script itself: it has said so, and there is nothing to report.
        return 2
    sys.stdout.flush()
    words = ["-m", target] if is_module else [target]
    words += ["--explain", *(["--", *arguments] if arguments else [])]
    return show(ran.trace, asked, f"run {shlex.join(words)}", shown_by(found), ran.exit_code)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line wants to be done with a Trace."""

    explain: bool
    json_file: str | None
    trace_file: str | None
    strict: bool
    force: bool

    def check(self) -> None:
        """Refuse impossible files before anything runs."""
        files.check(self.json_file, self.force)
        files.check(self.trace_file, self.force)
        both = (self.json_file, self.trace_file)
        same = [os.path.abspath(each) for each in both if each not in (None, "-")]
        if len(same) > len(set(same)):
            raise UserError(f"--json and --trace both name {self.json_file}", "name two files")


def show(trace: Trace, asked: Asked, again: str, shown: list[str], exit_code: int) -> int:
    """Write what was asked for and print the report. `again` is the command for the whole story."""
    from graphlab.rules.registry import find
    from graphlab.trace.report import report
    from graphlab.views import terminal

    findings = find(trace)
    if asked.trace_file is not None:
        from graphlab.trace.store import dumps

        files.write(asked.trace_file, dumps(trace), asked.force)
    if asked.json_file is not None:
        text = json.dumps(report(trace, findings), indent=2) + "\n"
        files.write(asked.json_file, text, asked.force)
    console = terminal.stderr() if asked.json_file == "-" else terminal.stdout()
    if asked.explain:
        terminal.emit(console, terminal.full(trace, findings, shown))
    else:
        terminal.emit(console, terminal.short(trace, findings))
        if any(finding.severity != "info" for finding in findings):
            terminal.stderr().print(f"\nthe whole story: graphlab {again}", style="dim")
    if exit_code == 0 and asked.strict and any(f.severity == "warning" for f in findings):
        return 1
    return exit_code


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

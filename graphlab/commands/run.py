"""graphlab run: a scenario, a script or a module under observation."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from graphlab.catalogue import Scenario, scenario, scenarios, suggestion
from graphlab.commands import files
from graphlab.errors import UserError


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
    files.check(json_file, force)
    files.check(trace_file, force)
    same = [os.path.abspath(each) for each in (json_file, trace_file) if each not in (None, "-")]
    if len(same) > len(set(same)):
        raise UserError(f"--json and --trace both name {json_file}", "name two files")
    found = None if is_module else resolve(target)

    from graphlab.observe import program
    from graphlab.rules.registry import find
    from graphlab.trace.report import report
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
    findings = find(ran.trace)
    sys.stdout.flush()
    if trace_file is not None:
        from graphlab.trace.store import dumps

        files.write(trace_file, dumps(ran.trace), force)
    if json_file is not None:
        files.write(json_file, json.dumps(report(ran.trace, findings), indent=2) + "\n", force)
    console = terminal.stderr() if json_file == "-" else terminal.stdout()
    if explain:
        terminal.emit(console, terminal.full(ran.trace, findings, _shown_by(found)))
    else:
        terminal.emit(console, terminal.short(ran.trace, findings))
        if findings:
            words = ["-m", target] if is_module else [target]
            words += ["--explain", *(["--", *arguments] if arguments else [])]
            hint = f"graphlab run {shlex.join(words)}"
            terminal.stderr().print(f"\nthe whole story: {hint}", style="dim")
    if ran.exit_code == 0 and strict and any(f.severity == "warning" for f in findings):
        return 1
    return ran.exit_code


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


def _shown_by(found: Scenario | None) -> list[str]:
    if found is None:
        return []
    titles = {each.name: each.title.partition(": ")[2] for each in scenarios()}
    width = max((len(name) for name in found.repaired_by), default=0)
    return [f"{name:<{width}}  {titles[name]}" for name in found.repaired_by if name in titles]

"""graphlab run: a scenario, a script or a module under observation."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphlab.catalogue import Scenario, scenario, scenarios
from graphlab.commands.report import Report
from graphlab.errors import UserError
from graphlab.output import files, streams
from graphlab.text import suggestion
from graphlab.trace.model import Trace

if TYPE_CHECKING:
    from graphlab.observe.observation import Session
    from graphlab.trace.film import Film


def run(
    target: str, arguments: list[str], asked: Asked, *, is_module: bool = False, last: bool = False
) -> int:
    """Run `target` and report. Returns the exit code: the program's own, 1 for a raise, 1 with
    `strict` where only a warning was found. `last` says that the process ends after that."""
    asked = asked.checked()
    found = None if is_module else resolve(target)

    from graphlab.observe import program
    from graphlab.views import console

    if is_module:
        what = program.module(target)
    else:
        what = program.script(str(found.path) if isinstance(found, Scenario) else target)

    from graphlab.commands.progress import Progress

    progress = Progress(console.stderr())
    name = found.name if isinstance(found, Scenario) else target
    sessions: list[Session] = []

    def started(session: Session) -> None:
        sessions.append(session)
        if asked.films:
            session.keep_film()
        progress.start(session)

    try:
        ran = program.run(what, arguments, name, started, last)
    except program.Unreported as lost:
        tell([lost])
        return lost.exit_code
    finally:
        progress.stop()
    if ran.exit_code == 2 and not any(o.steps for o in ran.trace.optimizers):
        # A usage error of the script itself: it has said so, and there is nothing to report.
        return 2
    words = ["-m", target] if is_module else [target]
    words += ["--explain", *(["--", *arguments] if arguments else [])]
    again = f"run {shlex.join(words)}"
    report = Report(ran.trace, asked, again, shown_by(found), tuple(arguments))
    if asked.films:
        with report.surviving("the film of the run"):
            report.film = _film(sessions[0], ran.trace)
    report.show()
    tell(report.failures)
    return 1 if ran.exit_code == 0 and asked.strict and report.warned else ran.exit_code


def tell(failures: Sequence[Exception]) -> None:
    """A line on stderr for each: after the run they change nothing else."""
    for each in failures:
        if os.environ.get("GRAPHLAB_DEBUG") and each.__cause__ is not None:
            import traceback

            traceback.print_exception(each.__cause__)
        with contextlib.suppress(OSError):
            streams.line(f"error: {each}", streams.err())


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line wants to be done with a Trace."""

    explain: bool = False
    json_file: str | None = None
    trace_file: str | None = None
    strict: bool = False
    force: bool = False
    html_file: str | None = None
    against: str | None = None
    quiz: bool = False
    # `html_file` as it was typed, to be told.
    page: str | None = None

    @property
    def films(self) -> bool:
        return self.html_file is not None or self.trace_file is not None

    @property
    def to_stdout(self) -> bool:
        """Whether a document takes stdout, and the report has to go elsewhere."""
        return "-" in (self.json_file, self.trace_file, self.html_file)

    def checked(self) -> Asked:
        """The same with its files where they will be, whatever folder the program goes to.

        Raises:
            UserError: for what cannot be, before anything runs.
        """
        json_file, trace_file, html_file = (
            files.check(path, self.force)
            for path in (self.json_file, self.trace_file, self.html_file)
        )
        files.distinct({"--json": json_file, "--trace": trace_file, "--html": html_file})
        for option, given in (("--against", self.against is not None), ("--quiz", self.quiz)):
            if given and self.html_file is None:
                raise UserError(f"{option} is for the player", "add --html FILE")
        if self.against is not None:
            from graphlab.commands.player import check_against

            check_against(self.against)
        return replace(
            self, json_file=json_file, trace_file=trace_file, html_file=html_file,
            page=self.html_file,
        )  # fmt: skip


def _film(session: Session, trace: Trace) -> Film | None:
    from graphlab.api.player import filmed
    from graphlab.rules.registry import find

    return filmed(session, trace, find(trace))


def resolve(target: str) -> Scenario | None:
    """A scenario's name, or None for a file. A name with neither suffix nor folder in it can
    only be a scenario, so a misspelt one is answered with the nearest."""
    if target.startswith("-"):
        raise UserError(
            f"{target} stands where TARGET should, and is no option of graphlab",
            "name a scenario, a script or -m MODULE; options of a script stand behind it",
        )
    looks_like_file = target.endswith(".py") or os.sep in target or os.path.isfile(target)
    if looks_like_file:
        if not os.path.exists(target):
            stem = os.path.splitext(os.path.basename(target))[0]
            near = suggestion(stem, [each.name for each in scenarios()], "check the path")
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

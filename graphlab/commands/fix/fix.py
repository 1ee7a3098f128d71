"""graphlab fix: repairs that were run before they are offered."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.status import Status

from graphlab.commands.fix.played import side_by_side
from graphlab.commands.recording import resolve
from graphlab.errors import UserError
from graphlab.fix.processes import Processes
from graphlab.fix.scratch import copy_of
from graphlab.fix.search import Asked, Search
from graphlab.fix.texts import sources
from graphlab.language import message, say, told
from graphlab.observe.distributed.placement import placement
from graphlab.output import files
from graphlab.ranks.launch import refuse_launcher
from graphlab.trace.repairs.document import document
from graphlab.trace.repairs.model import Repairs


@dataclass(frozen=True, slots=True)
class Choice:
    """The options of `graphlab fix`."""

    apply: bool = False
    choose: int | None = None
    patch_file: str | None = None
    json_file: str | None = None
    html_file: str | None = None
    steps: int = 3
    limit: float | None = None
    sandbox: bool = False
    force: bool = False
    # How many ranks are started: as many as a scenario's header says, else one.
    ranks: int | None = None

    def checked(self) -> Choice:
        """The same with absolute paths.

        Raises:
            UserError: for options that cannot be met, before anything runs.
        """
        if self.ranks is not None and self.ranks > 1 and self.html_file is not None:
            raise UserError(message("fix.refused.one_process"), message("fix.do.no_html"))
        patch_file, json_file, html_file = (
            files.check(path, self.force)
            for path in (self.patch_file, self.json_file, self.html_file)
        )
        files.distinct({"--patch": patch_file, "--json": json_file, "--html": html_file})
        return replace(self, patch_file=patch_file, json_file=json_file, html_file=html_file)


def fix(target: str, arguments: list[str], choice: Choice, is_module: bool) -> int:
    """Try the repairs of `target`, show them, and write what was asked for. Returns 0 where a
    repair is proved or nothing is to be mended, else 1.

    Raises:
        UserError: for a target that cannot be run, or options that cannot be met.
    """
    from graphlab.views import console
    from graphlab.views.terminal.repairs import RepairTable

    refuse_launcher(target, arguments, is_module)
    choice = choice.checked()
    if placement() is not None:
        raise UserError(message("fix.refused.starts_ranks"), "graphlab fix TARGET --nproc N")
    scenario = None if is_module else resolve(target)
    if scenario is not None and choice.apply:
        raise UserError(
            message("fix.refused.scenario", name=target),
            message("fix.do.copy", path=str(scenario.path)),
        )
    with Processes() as processes, _telling(console.stderr(), target) as progress:
        here = os.getcwd()
        search = Search(
            Asked(
                str(scenario.path) if scenario is not None else target, target, is_module,
                tuple(arguments), choice.steps, choice.limit,
                (lambda: copy_of(here, processes.folder)) if choice.sandbox else None,
                choice.ranks or (scenario.ranks if scenario is not None else 1),
            ),
            processes, progress,
        )  # fmt: skip
        repairs = search.run()
        chosen = repairs.chosen if choice.choose is None else _chosen(repairs, choice.choose)
        page, no_page = "", None
        if choice.html_file is not None:
            progress.filming()
            try:
                page = side_by_side(search.filmed(chosen), repairs, chosen)
            except UserError as error:
                # The repair is shown and written all the same.
                no_page = error
    if chosen is not None and choice.apply:
        sources.write(search.texts[chosen], search.originals)
        repairs = replace(repairs, applied=True)
    repairs = replace(repairs, chosen=chosen)
    if choice.json_file is not None:
        text = json.dumps(document(repairs), indent=2) + "\n"
        files.write(choice.json_file, text, choice.force)
    if choice.patch_file is not None and chosen is not None:
        files.write(choice.patch_file, repairs.candidates[chosen].diff, choice.force)
    if choice.html_file is not None and page:
        files.write(choice.html_file, page, choice.force)
    to_stdout = "-" in (choice.json_file, choice.patch_file, choice.html_file)
    screen = console.stderr() if to_stdout else console.stdout()
    many = ["--nproc", str(choice.ranks)] if choice.ranks else []
    words = shlex.join([*(["-m"] if is_module else []), target, *many])
    given = shlex.join(["--", *arguments]) if arguments else ""
    console.emit(screen, RepairTable(repairs, chosen))
    for line in _closing(repairs, choice, words, given):
        console.emit(screen, line)
    if no_page is not None:
        raise no_page
    return _code(repairs, choice)


def _chosen(repairs: Repairs, number: int) -> int:
    if not 1 <= number <= len(repairs.candidates):
        count = len(repairs.candidates)
        do = message("fix.do.choose", count=count) if count else message("fix.do.none_tried")
        raise UserError(message("fix.refused.no_repair", number=number), do)
    return number - 1


def _closing(repairs: Repairs, choice: Choice, words: str, given: str) -> Iterator[str]:
    if not repairs.problems:
        if repairs.failure:
            yield say("fix.said.raised", target=repairs.target, failure=repairs.failure)
            yield say("fix.said.no_finding")
        elif repairs.exit_code:
            code = repairs.exit_code
            yield say("fix.said.exit_code", target=repairs.target, code=code)
            yield say("fix.said.see_print", command=f"graphlab run {words} {given}".rstrip())
        elif repairs.left_after is not None:
            seconds = f"{repairs.left_after:.0f}"
            yield say("fix.said.left", target=repairs.target, seconds=seconds)
        else:
            yield say("fix.said.nothing", target=repairs.target)
        return
    yield ""
    if repairs.applied:
        changed = {edit.file for edit in repairs.candidates[repairs.chosen or 0].edits}
        yield say("fix.said.applied", files=sorted(map(os.path.relpath, changed)))
    elif repairs.chosen is not None:
        again = f"graphlab fix {words} --apply"
        if choice.choose is not None:
            again += f" --choose {choice.choose}"
        yield say("fix.said.to_apply", command=f"{again} {given}".rstrip())
    else:
        yield say("fix.said.none_proved")
        for finding in repairs.problems:
            for help in finding.help[:1]:
                yield say("fix.said.help", code=finding.code, text=told(help.text))
        if repairs.candidates:
            yield say("fix.said.to_show", command=f"graphlab fix {words} --choose N")


def _code(repairs: Repairs, choice: Choice) -> int:
    if not repairs.problems:
        return 1 if repairs.failure or repairs.exit_code else 0
    if repairs.chosen is None:
        return 1
    return 0 if repairs.candidates[repairs.chosen].verdict == "proved" else 1


class _Progress:
    """Says on stderr, in a terminal, which repair is being tried."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    def trying(self, at: int, count: int) -> None:
        if self._status is not None:
            self._status.update(say("fix.said.trying", at=at, count=count))

    def filming(self) -> None:
        if self._status is not None:
            self._status.update(say("fix.said.filming"))


@contextmanager
def _telling(screen: Console, target: str) -> Iterator[_Progress]:
    if not screen.is_terminal:
        yield _Progress(None)
        return
    with screen.status(say("fix.said.running", target=target)) as status:
        yield _Progress(status)

"""Prints and writes what the command line asks for of a Trace.

A part that fails leaves the other parts as they are.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from graphlab.commands.recording import check_against
from graphlab.errors import UserError
from graphlab.language import message, say
from graphlab.output import files, streams
from graphlab.rules.rule import Rule
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that say what to print and write."""

    explain: bool = False
    json_file: str | None = None
    trace_file: str | None = None
    strict: bool = False
    force: bool = False
    html_file: str | None = None
    against: str | None = None
    quiz: bool = False
    # From which iteration on numbers that are not finite are followed.
    nan_from: int | None = None
    # What watching may take, as a share of the program's own time.
    budget: float | None = None
    # `html_file` as it was typed, for messages.
    page: str | None = None
    # One of `views.machine.lines.FORMATS`.
    form: str = "text"
    sarif_file: str | None = None
    # The folder in which the command was given.
    root: str = ""

    @property
    def films(self) -> bool:
        return self.html_file is not None or self.trace_file is not None

    @property
    def to_stdout(self) -> bool:
        """Whether a document goes to stdout, so that the report goes to stderr."""
        return "-" in (self.json_file, self.trace_file, self.html_file, self.sarif_file)

    def end_line(self) -> None:
        """End the line that the program may have left open where the report goes, as a progress bar
        does."""
        stream = streams.err() if self.to_stdout else streams.out()
        stream.write("\n")
        stream.flush()

    def words(self) -> list[str]:
        """Those options that are about a report, as one types them."""
        files = {
            "--json": self.json_file, "--trace": self.trace_file, "--sarif": self.sarif_file,
        }  # fmt: skip
        named = [word for option, file in files.items() if file for word in (option, file)]
        flags = {"--explain": self.explain, "--force": self.force}
        return [*named, "--format", self.form, *(each for each, given in flags.items() if given)]

    def checked(self) -> Asked:
        """The same with absolute paths: the program may change its working folder.

        Raises:
            UserError: for options that cannot be met, before anything runs.
        """
        check_format(self.form)
        if self.budget is not None:
            from graphlab.observe.price.budget import checked_share

            checked_share(self.budget)
        json_file, trace_file, html_file, sarif_file = (
            files.check(path, self.force)
            for path in (self.json_file, self.trace_file, self.html_file, self.sarif_file)
        )
        files.distinct({
            "--json": json_file, "--trace": trace_file, "--html": html_file, "--sarif": sarif_file,
        })  # fmt: skip
        for option, given in (("--against", self.against is not None), ("--quiz", self.quiz)):
            if given and self.html_file is None:
                raise UserError(
                    message("usage.for_player", word=option), message("usage.help.add_html")
                )
        if self.against is not None:
            check_against(self.against)
        return replace(
            self, json_file=json_file, trace_file=trace_file, html_file=html_file,
            page=self.html_file, sarif_file=sarif_file, root=os.getcwd(),
        )  # fmt: skip


def check_format(form: str) -> None:
    """Raises:
    UserError: for a format that there is not."""
    from graphlab.views.machine.lines import FORMATS

    if form not in FORMATS:
        raise UserError(
            message("usage.no_format", name=form), message("usage.help.choose", names=[*FORMATS])
        )


class Report:
    """The report of a run, and the files that were asked for.

    `again` is the command that shows the whole story; `shown` are the scenarios that show the
    repair, a line each; `arguments` are the script's, for a second run to compare with; `closer`
    gives the command that follows numbers that are not finite from an iteration on. `follows`:
    the program has just printed.
    """

    def __init__(
        self,
        trace: Trace,
        asked: Asked,
        again: str,
        shown: list[str],
        arguments: tuple[str, ...] = (),
        film: Film | None = None,
        closer: Callable[[int], str] | None = None,
        follows: bool = False,
    ) -> None:
        self.trace, self.film = trace, film
        # Why a part that was asked for is missing.
        self.failures: list[UserError] = []
        self._asked, self._again, self._shown = asked, again, shown
        self._arguments, self._closer, self._follows = arguments, closer, follows
        self._findings: list[Finding] = []

    @property
    def warned(self) -> bool:
        return any(each.severity == "warning" for each in self._findings)

    def show(self) -> None:
        """Write what was asked for and print the report. Errors go to `failures`, since the exit
        code is the program's."""
        from graphlab.rules.registry import find

        asked = self._asked
        with self.surviving("the findings"):
            self._findings = find(self.trace, self._failed)
        if asked.trace_file is not None:
            with self.surviving("the trace"):
                from graphlab.trace.film import dumps

                files.write(asked.trace_file, dumps(self.trace, self.film), asked.force)
        if asked.json_file is not None:
            with self.surviving("the report"):
                from graphlab.trace.report import report

                text = json.dumps(report(self.trace, self._findings), indent=2) + "\n"
                files.write(asked.json_file, text, asked.force)
        if asked.sarif_file is not None:
            with self.surviving("the report"):
                from graphlab.views.machine.sarif import sarif

                document = sarif(self.trace, self._findings, asked.root)
                files.write(asked.sarif_file, json.dumps(document, indent=2) + "\n", asked.force)
        with self.surviving("the report"):
            self._print()
        if asked.html_file is not None:
            # Last, since it takes longest.
            with self.surviving("the player"):
                self._write_page(asked.html_file)

    def _failed(self, rule: Rule, error: Exception) -> None:
        """A rule of ours raised: the others' findings are told, and that all is well is not."""
        with self.surviving(rule.code):
            raise error
        notice = message("observed.unseen.rule", code=rule.code)
        self.trace = replace(self.trace, unseen=(*self.trace.unseen, notice))

    def _print(self) -> None:
        from graphlab.views import console
        from graphlab.views.terminal import report as terminal

        if self._follows:
            self._asked.end_line()
        if self._asked.form != "text":
            from graphlab.views.machine import lines

            file = streams.err() if self._asked.to_stdout else streams.out()
            for line in lines.render(self._findings, self._asked.form, self._asked.root):
                streams.line(line, file)
            return
        screen = console.stderr() if self._asked.to_stdout else console.stdout()
        if self._asked.explain:
            console.emit(screen, terminal.full(self.trace, self._findings, self._shown))
        else:
            console.emit(screen, terminal.short(self.trace, self._findings))
            if any(finding.severity != "info" for finding in self._findings):
                told = say("report.whole_story", command=f"graphlab {self._again}")
                console.stderr().print(f"\n{told}", style="dim")
        ahead = [each.look_from for each in self.trace.sightings if isinstance(each, NonFinite)]
        if self._closer is not None and ahead and ahead[0] is not None:
            console.emit(screen, terminal.to_find_out(self._closer(ahead[0])))

    def _write_page(self, path: str) -> None:
        from graphlab.commands.player import write
        from graphlab.views import console

        asked = self._asked
        write(
            path, self.trace, self.film, self._findings, against=asked.against,
            arguments=self._arguments, quiz=asked.quiz, force=asked.force,
        )  # fmt: skip
        if path != "-":
            told = say("report.player", page=str(self._asked.page))
            console.stderr().print(f"\n{told}", style="dim", soft_wrap=True)

    def surviving(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Add an error of the block to `failures` instead of raising it."""
        return surviving(what, self.failures)


@contextlib.contextmanager
def surviving(what: str, failures: list[UserError]) -> Iterator[None]:
    """Add an error of the block to `failures` instead of raising it."""
    try:
        yield
    except BrokenPipeError:
        # The reader closed the pipe, as in `graphlab run … | head`.
        return
    except UserError as error:
        failures.append(error)
    except OSError as error:
        said = f"cannot write {what}: {error.strerror}"
        failures.append(UserError(said, "name another file"))
    except Exception as error:
        said = f"internal error in {what}: {type(error).__name__}: {error}"
        failure = UserError(said, "this is a bug, please report it; GRAPHLAB_DEBUG=1 shows where")
        failure.__cause__ = error
        failures.append(failure)

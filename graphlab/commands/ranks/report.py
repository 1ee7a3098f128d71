"""The one report of several ranks, printed and written as asked."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from graphlab.commands.report import Asked, surviving
from graphlab.errors import UserError
from graphlab.language import message, say
from graphlab.output import files
from graphlab.ranks.compare import compared
from graphlab.ranks.folder import trace_name, traces_in
from graphlab.trace import store
from graphlab.trace.finding import Finding
from graphlab.trace.ranks.joint import Joint


def checked(asked: Asked) -> Asked:
    """As `Asked.checked`, where `--trace` names a folder.

    Raises:
        UserError: for options that cannot be met.
    """
    if asked.html_file is not None:
        raise UserError(message("usage.html_of_ranks"), message("usage.help.leave_html_out"))
    folder = asked.trace_file
    asked = replace(asked, trace_file=None).checked()
    if folder is None:
        return asked
    if folder == "-":
        raise UserError(message("usage.file_a_rank"), message("usage.help.name_folder"))
    path = os.path.abspath(folder)
    if os.path.isdir(path) and traces_in(Path(path)) and not asked.force:
        raise UserError(
            message("usage.holds_traces", path=folder), message("usage.help.replace_them")
        )
    if os.path.lexists(path) and not os.path.isdir(path):
        raise UserError(
            message("usage.not_a_folder", path=folder), message("usage.help.folder_of_ranks")
        )
    return replace(asked, trace_file=path)


class JointReport:
    """The one report of several ranks, and the files that were asked for."""

    def __init__(self, joint: Joint, asked: Asked, again: str, follows: bool = False) -> None:
        """`follows`: the ranks have just printed."""
        self.failures: list[UserError] = []
        self._joint, self._asked, self._again = compared(joint), asked, again
        self._follows = follows
        self._findings: list[Finding] = []

    @property
    def warned(self) -> bool:
        return any(each.severity == "warning" for each in self._findings)

    def show(self) -> None:
        """Write what was asked for and print the report; errors go to `failures`."""
        asked, joint = self._asked, self._joint
        with surviving("the findings", self.failures):
            from graphlab.ranks.findings import find_in

            self._findings = find_in(joint)
        if asked.trace_file is not None:
            with surviving("the traces", self.failures):
                os.makedirs(asked.trace_file, exist_ok=True)
                for rank, trace in joint.traces.items():
                    path = os.path.join(asked.trace_file, trace_name(rank))
                    files.write(path, store.dumps(trace), asked.force)
        if asked.json_file is not None:
            with surviving("the report", self.failures):
                from graphlab.trace.report import joint_report

                text = json.dumps(joint_report(joint, self._findings), indent=2) + "\n"
                files.write(asked.json_file, text, asked.force)
        if asked.sarif_file is not None:
            with surviving("the report", self.failures):
                from graphlab.views.machine.sarif import sarif

                document = sarif(joint.lead(), self._findings, asked.root)
                files.write(asked.sarif_file, json.dumps(document, indent=2) + "\n", asked.force)
        with surviving("the report", self.failures):
            self._print()

    def _print(self) -> None:
        from graphlab.views import console
        from graphlab.views.terminal import report as terminal

        if self._follows:
            self._asked.end_line()
        if self._asked.form != "text":
            from graphlab.output import streams
            from graphlab.views.machine import lines

            file = streams.err() if self._asked.to_stdout else streams.out()
            for line in lines.render(self._findings, self._asked.form, self._asked.root):
                streams.line(line, file)
            return
        screen = console.stderr() if self._asked.to_stdout else console.stdout()
        shown = terminal.joint(self._joint, self._findings, self._asked.explain)
        console.emit(screen, shown)
        grave = any(finding.severity != "info" for finding in self._findings)
        if grave and not self._asked.explain:
            told = say("report.whole_story", command=self._again)
            console.stderr().print(f"\n{told}", style="dim", soft_wrap=True)

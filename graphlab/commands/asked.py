"""What the command line wants to be done with a Trace, refused early where it cannot be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphlab.errors import UserError
from graphlab.output import files

if TYPE_CHECKING:
    pass
from graphlab.commands.targets import check_against


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
            check_against(self.against)
        return replace(
            self, json_file=json_file, trace_file=trace_file, html_file=html_file,
            page=self.html_file,
        )  # fmt: skip

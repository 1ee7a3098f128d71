"""Options that several verbs of the command line take."""

from __future__ import annotations

from typing import Annotated

import typer


def _language(value: str | None) -> None:
    if value is not None:
        from graphlab.language import choose

        choose(value)


# Taken by graphlab itself and by each of its verbs, as people write it at either end.
Lang = Annotated[
    str | None,
    typer.Option("--lang", metavar="CODE", callback=_language, help="en or ko."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Ranks = Annotated[
    int | None,
    typer.Option("--nproc", min=1, metavar="N", help="Start N ranks by torch.distributed.run."),
]

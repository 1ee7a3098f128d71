"""Options that several verbs of the command line take, and those that take a number."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from graphlab.errors import UserError
from graphlab.language import message


def whole(name: str, metavar: str, least: int) -> Any:
    """An option that takes a whole number, `least` or more."""
    return _number(name, metavar, int, least, message("usage.help.whole", least=least))


def seconds(name: str, least: float) -> Any:
    """An option that takes seconds, `least` or more."""
    return _number(name, "SECONDS", float, least, message("usage.help.number", least=least))


def share(name: str) -> Any:
    """An option that takes a share of something, 0 or more."""
    return _number(name, "SHARE", float, 0, message("usage.help.share"))


def _number(name: str, metavar: str, kind: Any, least: float, help: str) -> Any:
    def parsed(text: Any) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not value >= least:
            raise UserError(message("usage.invalid", value=repr(text), option=name), help)
        return value

    return typer.Option(name, metavar=metavar, parser=parsed)


def _language(value: str | None) -> None:
    if value is not None:
        from graphlab.language import choose

        choose(value)


# Taken by graphlab itself and by each of its verbs, as people write it at either end.
Lang = Annotated[
    str | None,
    typer.Option("--lang", metavar="CODE", callback=_language, is_eager=True),
]
Module = Annotated[bool, typer.Option("-m")]
Force = Annotated[bool, typer.Option("--force")]
Ranks = Annotated[int | None, whole("--nproc", "N", 1)]

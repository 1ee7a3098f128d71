"""The verbs of `graphlab learn`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from graphlab.cli.options import Lang, seconds
from graphlab.cli.told import Verb, Verbs


class _StartsByItself(Verbs):
    """A group in which `graphlab learn [DIR]` means `graphlab learn start [DIR]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["start", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="learn",
    cls=_StartsByItself,
    rich_markup_mode=None,
)


@app.command(cls=Verb)
def start(
    directory: Annotated[str, typer.Argument(metavar="DIR")] = ".",
    course: Annotated[
        str | None,
        typer.Option("--from", metavar="FOLDER"),
    ] = None,
    once: Annotated[bool, typer.Option("--once")] = False,
    lang: Lang = None,
) -> None:
    from graphlab.commands.learn import start as command

    raise typer.Exit(command.start(directory, course, not once))


@app.command(cls=Verb)
def check(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE")] = None,
    against: Annotated[
        str | None,
        typer.Option("--exercise", metavar="FILE"),
    ] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
    timeout: Annotated[float, seconds("--timeout", 0.1)] = 20.0,
    lang: Lang = None,
) -> None:
    from graphlab.commands.learn import check as command

    raise typer.Exit(command.check(files or [], against, json, timeout))


@app.command(cls=Verb)
def hint(
    name: Annotated[str | None, typer.Argument(metavar="NAME")] = None,
    lang: Lang = None,
) -> None:
    from graphlab.commands.learn import folder as command

    raise typer.Exit(command.hint(name))


@app.command("list", cls=Verb)
def list_(lang: Lang = None) -> None:
    from graphlab.commands.learn import folder as command

    raise typer.Exit(command.list_all())


@app.command(cls=Verb)
def reset(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    force: Annotated[bool, typer.Option("--force")] = False,
    lang: Lang = None,
) -> None:
    from graphlab.commands.learn import folder as command

    raise typer.Exit(command.reset(name, force))

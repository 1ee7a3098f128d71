"""The verbs of `graphlab learn`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from graphlab.cli.options import Lang


class _StartsByItself(TyperGroup):
    """A group in which `graphlab learn [DIR]` means `graphlab learn start [DIR]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["start", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="learn",
    cls=_StartsByItself,
    help="Exercises: small broken programs to mend, checked by graphlab as they are saved.",
    rich_markup_mode=None,
)


@app.command()
def start(
    directory: Annotated[
        str, typer.Argument(metavar="[DIR]", help="Where they are laid out; by default here.")
    ] = ".",
    course: Annotated[
        str | None,
        typer.Option("--from", metavar="FOLDER", help="A teacher's exercises, not graphlab's."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Answer once: 0 if passed, else 1.")] = False,
    lang: Lang = None,
) -> None:
    """Lay the exercises out and answer each time one is saved; `graphlab learn` alone does it."""
    from graphlab.commands.learn import start as command

    raise typer.Exit(command.start(directory, course, not once))


@app.command()
def check(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE...", help="To check.")] = None,
    against: Annotated[
        str | None,
        typer.Option("--exercise", metavar="FILE", help="The exercise, where FILE is a copy."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For each file.")
    ] = 20.0,
    lang: Lang = None,
) -> None:
    """Check files. Exit code 0: all passed; 1: not; 2: a mistake on the command line."""
    from graphlab.commands.learn import check as command

    raise typer.Exit(command.check(files or [], against, json, timeout))


@app.command()
def hint(
    name: Annotated[
        str | None, typer.Argument(help="An exercise; by default the first not passed.")
    ] = None,
    lang: Lang = None,
) -> None:
    """Give the next hint: where to look, why, and the solution."""
    from graphlab.commands.learn import folder as command

    raise typer.Exit(command.hint(name))


@app.command("list")
def list_(lang: Lang = None) -> None:
    """Show the exercises and which are passed."""
    from graphlab.commands.learn import folder as command

    raise typer.Exit(command.list_all())


@app.command()
def reset(
    name: Annotated[str, typer.Argument(help="An exercise.")],
    force: Annotated[bool, typer.Option("--force", help="Lose the changes in it.")] = False,
    lang: Lang = None,
) -> None:
    """Give an exercise out anew."""
    from graphlab.commands.learn import folder as command

    raise typer.Exit(command.reset(name, force))

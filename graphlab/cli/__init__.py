"""The command line. Each verb's work is in commands/, and torch is imported there."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.main import get_command

from graphlab.cli import learn
from graphlab.cli.misread import misread
from graphlab.cli.options import Force, Lang, Module, Ranks, seconds, share, whole
from graphlab.cli.told import Verb, Verbs
from graphlab.errors import UserError
from graphlab.language import message, say, told

app = typer.Typer(
    name="graphlab",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_PASS = {"allow_extra_args": True, "ignore_unknown_options": True}


def _version(value: bool) -> None:
    if value:
        from graphlab._version import __version__

        typer.echo(f"graphlab {__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    lang: Lang = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    pass


@app.command(cls=Verb, context_settings=_PASS)
def run(
    context: typer.Context,
    target: Annotated[str | None, typer.Argument(metavar="TARGET")] = None,
    module: Module = False,
    explain: Annotated[bool, typer.Option("--explain")] = False,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE")] = None,
    trace: Annotated[str | None, typer.Option("--trace", metavar="FILE")] = None,
    saved: Annotated[str | None, typer.Option("--from", metavar="FILE")] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="TARGET"),
    ] = None,
    nproc: Ranks = None,
    quiz: Annotated[bool, typer.Option("--quiz")] = False,
    nan_from: Annotated[
        int | None,
        whole("--nan-from", "N", 0),
    ] = None,
    budget: Annotated[
        float | None,
        share("--budget"),
    ] = None,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT")] = "text",
    sarif: Annotated[str | None, typer.Option("--sarif", metavar="FILE")] = None,
    strict: Annotated[bool, typer.Option("--strict")] = False,
    force: Force = False,
    lang: Lang = None,
) -> None:
    from graphlab.commands import run as command
    from graphlab.commands.report import Asked

    asked = Asked(
        explain,
        json,
        trace,
        strict,
        force,
        html,
        against,
        quiz,
        form=format,
        sarif_file=sarif,
        nan_from=nan_from,
        budget=budget,
    )
    if saved is not None:
        if target is not None or module or context.args:
            given = target or ("-m" if module else context.args[0])
            raise UserError(
                message("usage.runs_nothing", word=given), message("usage.help.remove", word=given)
            )
        if nan_from is not None:
            raise UserError(
                message("usage.runs_nothing", word="--nan-from"),
                message("usage.help.remove", word="--nan-from"),
            )
        raise typer.Exit(command.replay(saved, asked))
    if target is None:
        raise UserError(message("usage.no_target"), message("usage.help.scenarios"))
    code = command.run(
        target, context.args, asked, is_module=module, last=bool(context.obj), ranks=nproc
    )
    raise typer.Exit(code)


@app.command(cls=Verb, context_settings=_PASS)
def render(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE"),
    ] = None,
    module: Module = False,
    level: Annotated[str, typer.Option("--level", metavar="LEVEL", show_default=True)] = "overview",
    depth: Annotated[int | None, whole("--depth", "N", 1)] = None,
    color: Annotated[str, typer.Option("--color", metavar="WHAT")] = "owner",
    format: Annotated[str | None, typer.Option("--format", metavar="FORMAT")] = None,
    at: Annotated[int | None, whole("--at", "N", 0)] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="CALL")] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option("--loss", metavar="NAME"),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option("--steps", metavar="STEPS"),
    ] = None,
    timeout: Annotated[float, seconds("--timeout", 0)] = 20.0,
    theme: Annotated[str, typer.Option("--theme", metavar="THEME")] = "light",
    style: Annotated[str, typer.Option("--style", metavar="STYLE")] = "graphlab",
    force: Force = False,
    lang: Lang = None,
) -> None:
    from graphlab.commands import render as command

    choice = command.Choice(
        output, format, level, color, theme, depth, at, before, tuple(loss or ()), style, timeout,
        force, steps, bool(context.obj),
    )  # fmt: skip
    raise typer.Exit(command.render(target, context.args, choice, module))


@app.command(cls=Verb, context_settings=_PASS)
def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET"),
    ] = None,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT")] = "text",
    lang: Lang = None,
) -> None:
    from graphlab.commands import check as command

    words = [*(names or []), *context.args]
    cut = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    raise typer.Exit(command.check(words[:cut], words[cut:], format))


@app.command(cls=Verb, context_settings=_PASS)
def compare(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET"),
    ] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="FILE")] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE")] = None,
    train: Annotated[
        int | None,
        whole("--train", "EPOCHS", 1),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option("--figure", metavar="FILE"),
    ] = None,
    seeds: Annotated[
        int | None,
        whole("--seeds", "K", 1),
    ] = None,
    force: Force = False,
    lang: Lang = None,
) -> None:
    from graphlab.commands import compare as command

    words = [*(names or []), *context.args]
    cut = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    code = command.compare(
        words[:cut], words[cut:], json_file=json, markdown_file=markdown, html_file=html,
        train=train, figure=figure, seeds=seeds, force=force,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(cls=Verb, context_settings=_PASS)
def fix(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET")],
    module: Module = False,
    apply: Annotated[bool, typer.Option("--apply")] = False,
    choose: Annotated[int | None, whole("--choose", "N", 1)] = None,
    patch: Annotated[str | None, typer.Option("--patch", metavar="FILE")] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE")] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE"),
    ] = None,
    steps: Annotated[int, whole("--steps", "N", 1)] = 3,
    limit: Annotated[
        float | None,
        seconds("--limit", 1),
    ] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox")] = False,
    nproc: Ranks = None,
    force: Force = False,
    lang: Lang = None,
) -> None:
    from graphlab.commands.fix import fix as command

    choice = command.Choice(apply, choose, patch, json, html, steps, limit, sandbox, force, nproc)
    raise typer.Exit(command.fix(target, context.args, choice, module))


app.add_typer(learn.app, name="learn")


@app.command(cls=Verb)
def explain(
    code: Annotated[str | None, typer.Argument(metavar="CODE")] = None,
    lang: Lang = None,
) -> None:
    from graphlab.commands import explain as command

    raise typer.Exit(command.explain(code))


@app.command("list", cls=Verb)
def list_(lang: Lang = None) -> None:
    """Show the scenarios, the exercises and the rules."""
    from graphlab.commands import list as command

    raise typer.Exit(command.list_all())


def main(last: bool = False) -> None:
    """Run the command line. An error is one line that says what is wrong and one `help:` line.

    `last` says that the process ends with this call, so that threads and exit functions of the
    program are left to Python.

    Raises:
        SystemExit: always.
    """
    from graphlab.output import streams

    with streams.held():
        code = _answer(last)
    sys.exit(code)


def _answer(last: bool) -> int:
    try:
        # Calling `app` would set an exception hook, which the program would see.
        code: Any = get_command(app)(standalone_mode=False, obj=last)
    except UserError as error:
        return _refuse(error.message, error.help)
    except typer.Exit as done:
        return done.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader closed the pipe, as in `graphlab list | head`.
        return 0
    except Exception as error:
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: Exception) -> int:
    from graphlab.output import streams

    said = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError" and said is not None:
        streams.out().write(f"{said()}\n")
        return 2
    if said is not None:
        return _refuse(*misread(error))
    if isinstance(error, OSError):
        return _refuse(f"{error.strerror or error}", message("usage.help.resolve"))
    if os.environ.get("GRAPHLAB_DEBUG"):
        import traceback

        traceback.print_exception(error)
    said = message("usage.internal", error=type(error).__name__, text=str(error))
    return _refuse(said, message("usage.help.report"))


def _refuse(wrong: str, help: str) -> int:
    from graphlab.output import streams

    # "error:" is looked for by editors and scripts, whatever the language.
    for word, text in (("error: ", wrong), (say("report.story.help"), help)):
        line = word + " ".join(told(text).split())
        with contextlib.suppress(OSError):
            streams.line(line, streams.err())
    return 2

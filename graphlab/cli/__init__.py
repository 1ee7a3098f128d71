"""The command line. Each verb's work is in commands/, and torch is imported there."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.main import get_command

from graphlab.cli import learn
from graphlab.cli.options import Force, Lang, Ranks
from graphlab.errors import UserError
from graphlab.language import message, say, told

app = typer.Typer(
    name="graphlab",
    help="A debugger and a classroom for PyTorch's autograd graph.",
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
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command(context_settings=_PASS)
def run(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="A scenario's name, a script, or a module (-m).")
    ] = None,
    module: Annotated[bool, typer.Option("-m", help="TARGET is a module.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Tell the whole story.")] = False,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the report; - is stdout.")
    ] = None,
    trace: Annotated[
        str | None, typer.Option("--trace", metavar="FILE", help="Save what was observed.")
    ] = None,
    saved: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Show a saved trace; runs nothing.")
    ] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write a page that plays it step by step."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="TARGET", help="Show another run beside it."),
    ] = None,
    nproc: Ranks = None,
    quiz: Annotated[bool, typer.Option("--quiz", help="The page asks questions first.")] = False,
    nan_from: Annotated[
        int | None,
        typer.Option("--nan-from", metavar="N", min=0, help="Follow NaN and Inf from iteration N."),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", metavar="SHARE", help="Look less where watching takes more."),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="text, github (annotations) or lines (for matchers).")
    ] = "text",
    sarif: Annotated[
        str | None, typer.Option("--sarif", metavar="FILE", help="Write it for code scanning.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on a warning.")] = False,
    force: Force = False,
    lang: Lang = None,
) -> None:
    """Run a scenario or a script and explain what goes wrong.

    Arguments that are not options of graphlab go to the script, and so does all after --.
    """
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


@app.command(context_settings=_PASS)
def render(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(help="As for run, or a saved graph or trace (.json); naive by default."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to FILE; - is stdout."),
    ] = None,
    module: Annotated[bool, typer.Option("-m", help="TARGET is a module.")] = False,
    level: Annotated[
        str, typer.Option("--level", help="overview, module or op.", show_default=True)
    ] = "overview",
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="Depth of modules, at level module.")
    ] = None,
    color: Annotated[
        str, typer.Option("--color", help="owner, optimizer, loss, version or memory.")
    ] = "owner",
    format: Annotated[
        str | None, typer.Option("--format", help="svg, png, pdf, dot, json, text or html.")
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", min=0, metavar="N", help="Draw the graph of iteration N.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="CALL", help="Draw it before that backward.")
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option("--loss", metavar="NAME", help="Draw only this loss or variable."),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option("--steps", help="all, or such as 3-8: a PNG a step into a folder, or a .gif."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Time limit of the layout.")
    ] = 20.0,
    theme: Annotated[str, typer.Option("--theme", help="light or dark.")] = "light",
    style: Annotated[str, typer.Option("--style", help="graphlab or torchviz.")] = "graphlab",
    force: Force = False,
    lang: Lang = None,
) -> None:
    """Draw the autograd graph of a program at the moment that explains it."""
    from graphlab.commands import render as command

    choice = command.Choice(
        output, format, level, color, theme, depth, at, before, tuple(loss or ()), style, timeout,
        force, steps, bool(context.obj),
    )  # fmt: skip
    raise typer.Exit(command.render(target, context.args, choice, module))


@app.command(context_settings=_PASS)
def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Scenarios, files, folders of exercises; all scenarios by default."),
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="text, github or lines: what was found unexpectedly.")
    ] = "text",
    lang: Lang = None,
) -> None:
    """Run scenarios, exercises and other scripts against their headers.

    An exercise must fail as its header says, its solution must pass, and repairs that only silence
    must not.
    """
    from graphlab.commands import check as command

    words = [*(names or []), *context.args]
    cut = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    raise typer.Exit(command.check(words[:cut], words[cut:], format))


@app.command(context_settings=_PASS)
def compare(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Scenarios, or scripts like them; by default the post's loops."),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all numbers; - is stdout.")
    ] = None,
    markdown: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE", help="Write the tables.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write the tables as a page.")
    ] = None,
    train: Annotated[
        int | None,
        typer.Option("--train", metavar="EPOCHS", min=1, help="Train each loop and judge G."),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(
            "--figure", metavar="FILE", help="Draw the losses and images of the training."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="K", min=1, help="Train from K seeds in a row (1)."),
    ] = None,
    force: Force = False,
    lang: Lang = None,
) -> None:
    """Run loops side by side, from one seed and over the same batches.

    Each is compared with the update it should have made. Other options, such as --arch, go to
    the scenarios; --steps is the number of compared iterations.
    """
    from graphlab.commands import compare as command

    words = [*(names or []), *context.args]
    cut = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    code = command.compare(
        words[:cut], words[cut:], json_file=json, markdown_file=markdown, html_file=html,
        train=train, figure=figure, seeds=seeds, force=force,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(context_settings=_PASS)
def fix(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="As for run.")],
    module: Annotated[bool, typer.Option("-m", help="TARGET is a module.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write the proved repair.")] = False,
    choose: Annotated[
        int | None, typer.Option("--choose", metavar="N", help="Show, or apply, repair N instead.")
    ] = None,
    patch: Annotated[
        str | None, typer.Option("--patch", metavar="FILE", help="Write it as a diff; - is stdout.")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all of it; - is stdout.")
    ] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Play the run and the repaired one."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Iterations beyond the failing one.")
    ] = 3,
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit",
            metavar="SECONDS",
            min=1,
            help="Leave each run after that; else twice what the program takes, and 10 s.",
        ),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Run in scratch copies of the working folder.")
    ] = False,
    nproc: Ranks = None,
    force: Force = False,
    lang: Lang = None,
) -> None:
    """Run the repairs of what goes wrong, and show those that work.

    The program runs once as it is and once for each repair, with whatever else it does: files that
    it writes are written each time, unless --sandbox is given. Its own files stay as they are until
    --apply. Exits with 0 where a repair is proved or nothing is wrong, else with 1.
    """  # fmt: skip
    from graphlab.commands.fix import fix as command

    choice = command.Choice(apply, choose, patch, json, html, steps, limit, sandbox, force, nproc)
    raise typer.Exit(command.fix(target, context.args, choice, module))


app.add_typer(learn.app, name="learn")


@app.command()
def explain(
    code: Annotated[str | None, typer.Argument(help="A code such as GL001, or its name.")] = None,
    lang: Lang = None,
) -> None:
    """Show the page of a rule."""
    from graphlab.commands import explain as command

    raise typer.Exit(command.explain(code))


@app.command("list")
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
        where = getattr(getattr(error, "ctx", None), "command_path", "graphlab")
        return _refuse(said().rstrip("."), message("usage.help.options", command=where))
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

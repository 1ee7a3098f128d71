"""Notebooks: ``%load_ext graphlab`` and the magic ``%%graphlab``."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any, NoReturn

from graphlab.errors import UserError
from graphlab.language import message, say, told
from graphlab.views.cell import SessionReport


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"%%graphlab: {message}", say("usage.help.cell"))


def _parser() -> _Parser:
    parser = _Parser(prog="%%graphlab", add_help=False, allow_abbrev=False)
    parser.add_argument("name", nargs="?")
    parser.add_argument("--quiz", action="store_true")
    parser.add_argument("--no-player", action="store_true")
    return parser


def run_cell(shell: Any, line: str, cell: str) -> None:
    """%%graphlab [NAME] [--quiz] [--no-player]

    Run the cell under observation. Its own output is followed by what graphlab found, the repair,
    the optimizer ledger, and the player of the iteration that explains most. An error of the cell
    is shown as usual, and the notebook goes on.

    NAME is a variable to keep the session in, for its assertions and findings.
    """
    from IPython.display import display

    from graphlab.api.session import Session

    try:
        asked = _parser().parse_args(shlex.split(line))
        if asked.name is not None and not asked.name.isidentifier():
            raise UserError(
                message("usage.no_variable", name=asked.name), message("usage.help.letters")
            )
        session = Session(message("report.the_cell"), film=not asked.no_player)
        try:
            session.start(sys._getframe(0))
        except RuntimeError as error:
            raise UserError(str(error), "leave its `with` block first") from None
    except UserError as error:
        help = f"{say('report.story.help')}{told(error.help)}"
        print(f"error: {told(error.message)}\n{help}", file=sys.stderr)
        return
    failed = None
    try:
        ran = shell.run_cell(cell, store_history=False)
        failed = ran.error_in_exec
    finally:
        session.stop(failed)
    if ran.error_before_exec is not None:
        return
    if asked.name is not None:
        shell.user_ns[asked.name] = session
    display(SessionReport(session))
    if not asked.no_player:
        try:
            display(session.player(asked.quiz))
        except UserError:
            # No line of the cell ran.
            return


def load(shell: Any) -> None:
    """What ``%load_ext graphlab`` does."""

    def graphlab(line: str, cell: str) -> None:
        run_cell(shell, line, cell)

    graphlab.__doc__ = run_cell.__doc__
    shell.register_magic_function(graphlab, "cell", "graphlab")

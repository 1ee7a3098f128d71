"""graphlab run --from: the report of a saved trace, on a machine that needs no torch."""

from __future__ import annotations

import shlex
from pathlib import Path

from graphlab.catalogue import scenarios
from graphlab.commands.player import nothing
from graphlab.commands.report import Report
from graphlab.commands.run import Asked, shown_by
from graphlab.errors import UserError
from graphlab.trace import film as films
from graphlab.trace.film import Film
from graphlab.trace.model import Trace


def replay(path: str, asked: Asked) -> int:
    """Report on the trace in the file `path`. Returns 0, or 1 with `strict` and a warning.

    Raises:
        UserError: for a file that is no trace, or one that cannot be written.
    """
    asked = asked.checked()
    trace, film = load(path)
    if asked.html_file is not None and film is None:
        raise nothing(trace)
    found = next((each for each in scenarios() if each.name == trace.target), None)
    again = f"run --from {shlex.quote(path)} --explain"
    report = Report(trace, asked, again, shown_by(found), film=film)
    report.show()
    for failure in report.failures:
        raise failure
    return 1 if asked.strict and report.warned else 0


def load(path: str) -> tuple[Trace, Film | None]:
    """The trace that `--trace` saved, and its film. Its own record of the sources counts,
    whatever stands in those files now."""
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"there is no file {path}", "graphlab run TARGET --trace FILE makes one"
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read: {why}", "name a file that --trace wrote") from None
    try:
        trace, film = films.opened(text.decode())
    except UnicodeDecodeError as error:
        raise _no_trace(path, f"it is no text in UTF-8, from byte {error.start} on") from None
    except ValueError as error:
        raise _no_trace(path, str(error)) from None
    return trace, film


def _no_trace(path: str, why: str) -> UserError:
    return UserError(f"{path} is not a trace: {why}", "name a file that --trace wrote")

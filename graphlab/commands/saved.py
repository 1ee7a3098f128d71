"""Opens a saved trace and its film."""

from __future__ import annotations

import re
from pathlib import Path

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.trace.film import Film, loads_both
from graphlab.trace.model import Trace


def is_trace(text: bytes) -> bool:
    """Whether a JSON document is a trace, and not a graph: by the schema that it names."""
    return re.search(rb'"schema"\s*:\s*"graphlab\.trace/', text[:4096]) is not None


def load(path: str) -> tuple[Trace, Film | None]:
    """The trace that `--trace` saved, and its film. Sources come from the trace, not from the
    files, which may have changed.

    Raises:
        UserError: for a file that is missing or is not a trace.
    """
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(
            message("usage.no_file", path=path), message("usage.help.make_trace")
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            message("usage.unreadable", path=path, why=str(why)), message("usage.help.a_trace")
        ) from None
    try:
        trace, film = loads_both(text.decode())
    except UnicodeDecodeError as error:
        raise _no_trace(path, f"it is not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise _no_trace(path, str(error)) from None
    return trace, film


def _no_trace(path: str, why: str) -> UserError:
    return UserError(
        message("usage.not_a_trace", path=path, why=str(why)), message("usage.help.a_trace")
    )

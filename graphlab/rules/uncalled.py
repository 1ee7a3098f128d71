"""A method that a statement names and does not call, as the cause of what it would have done."""

from __future__ import annotations

from collections.abc import Callable

from graphlab.language import message
from graphlab.source.effects.idle.uncalled import uncalled, written
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help, Place
from graphlab.trace.model import Location, Trace


def not_called(
    trace: Trace, method: str, of: Callable[[str], bool] = lambda owner: True
) -> tuple[Place, Help] | None:
    """The one statement of the program that is nothing but ``….method``, and the call that it was
    meant to be; None where there is none, or several. `of` is asked whose method it may be, by the
    last word before it."""
    at = uncalled(trace.sources, method)
    if at is None or not of(at.code.split(".")[-2]):
        return None
    line = lines_with_ends(trace.sources[at.file])[at.line - 1]
    end = len(line.encode()[: at.end_column - 1].decode(errors="ignore"))
    return (
        Place(at, message("words.not_called", name=at.code)),
        Help(
            message("words.call_it", name=at.code),
            line,
            f"{line[:end]}(){line[end:]}",
            at.file,
            at.line,
        ),
    )


def never_ran(
    trace: Trace, method: str, ran: set[Location | None], of: Callable[[str], bool]
) -> Place | None:
    """The only statement of the program that calls ``….method()``, if it is none of the lines that
    `ran`: a condition keeps it from that, or nobody calls the function that it stands in."""
    at = written(trace.sources, method)
    if at is None or any(each and (each.file, each.line) == (at.file, at.line) for each in ran):
        return None
    owner = at.code.partition(f".{method}(")[0].split(".")[-1]
    return Place(at, message("words.never_ran", name=at.code)) if of(owner) else None

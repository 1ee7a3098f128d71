"""What several rules say alike, as messages: names of tensors, and the lines of places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from graphlab.language import message
from graphlab.language.lists import first_of
from graphlab.source.wording import THE_LOSS
from graphlab.trace.model import Location, TensorInfo, Trace


def tensor_word(tensor: TensorInfo) -> str:
    """How a sentence names a tensor: its name, or its shape."""
    return tensor.name or message("words.tensor_of_shape", shape=str(list(tensor.shape)))


def parameter_word(trace: Trace, index: int) -> str:
    """The name of the parameter at `index`."""
    return trace.tensors[index].name or message("words.a_parameter")


def several_parameters(trace: Trace, indices: Sequence[int]) -> str:
    """The name of the first of these parameters, and how many more there are."""
    return first_of([parameter_word(trace, each) for each in indices])


def loss_word(loss: str) -> str:
    """A loss as the user wrote it, or "the loss" where the user has no word for it."""
    return message("words.the_loss") if loss == THE_LOSS else loss


def inferred(text: str) -> str:
    """A note that something was not seen, and must have been so."""
    return message("words.inferred", text=text)


def by_in_line(by: str, at: Location) -> str:
    """What happened in a line: "x.detach() in line 3"."""
    return message("words.by_in_line", by=by, line=at.line)


def in_line(at: Location | None, beside: Location | None = None) -> str:
    """ " in line 3", to come before what happened there in languages that say it so; "" if the
    place is not known. With its file where that is another than the one of `beside`."""
    if at is None:
        return ""
    if beside is None or at.file == beside.file:
        return message("words.in_line", line=at.line)
    return message("words.in_line_of_file", line=at.line, file=PurePath(at.file).name)


def in_module(module: str | None) -> str:
    """As `in_line`, for a module."""
    return message("words.in_module", module=module) if module else ""


def line_in_brackets(at: Location | None) -> str:
    """ " (line 3)"; "" if the place is not known."""
    return message("words.line_in_brackets", line=at.line) if at is not None else ""

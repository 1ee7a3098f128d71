"""Tells which norm layer refused its input because it was left with one value for each channel."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.hooks.line_tracer import runs
from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.refusals.traceback import TracebackEntry, entries_of
from graphlab.observe.sightings.state.modes import NORMS
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, is_module, is_tensor, shape_of
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, class_name, is_a
from graphlab.source.wording import call_text
from graphlab.trace.module_sightings import LoneValues


class LoneValuesRefused:
    def __init__(self, watched: Watched) -> None:
        self._files = watched.files
        self._found: LoneValues | None = None

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the error tells."""

    def found(self) -> Iterator[LoneValues]:
        if self._found is not None:
            yield self._found

    def raised(self, error: BaseException) -> None:
        """The program has ended with `error`."""
        self._found = lone_values(error, self._files)


def lone_values(error: BaseException, files: UserFiles) -> LoneValues | None:
    """What a norm layer refused with `error`; None if it is another error."""
    if type(error) is not ValueError:
        return None
    entries = entries_of(error.__traceback__)
    with Unnoticed():
        return _told(entries, files)


def _told(entries: list[TracebackEntry], files: UserFiles) -> LoneValues | None:
    norm = torch.nn.functional.batch_norm
    # Its own check of the size has raised.
    refused = entries[-2][0] if len(entries) > 1 else None
    if refused is None or not runs(refused.f_code, norm):
        return None
    given = refused.f_locals.get("input")
    if refused.f_locals.get("training") is not True or not is_tensor(given):
        return None
    shape = shape_of(given)
    count = shape[0] if shape else 0
    for size in shape[2:]:
        count *= size
    modules = [
        (place, module)
        for place, (frame, _) in enumerate(entries)
        if is_module(module := frame.f_locals.get("self")) and frame.f_code not in files
    ]
    mine = [place for place, (frame, _) in enumerate(entries) if frame.f_code in files]
    if count != 1 or not modules or not mine or not is_a(modules[-1][1], NORMS):
        return None
    layer = modules[-1][1]
    # The module that the program called, in the line that called it.
    outer = next(each for _, each in modules)
    before = [place for place in mine if place < modules[0][0]]
    if not before:
        return None
    names = Names(files).gather(entries[mine[-1]][0])
    began, inner = entries[before[-1]], entries[mine[-1]]
    at, failed = located((began[0].f_code, began[1])), located((inner[0].f_code, inner[1]))
    name = names.modules.get(id(layer), class_name(layer))
    whole = names.modules.get(id(outer), class_name(outer))
    left = whole if attributes(outer).get("training") is True else name
    return LoneValues(at, failed, call_text(failed, name)[0], name, left, shape)

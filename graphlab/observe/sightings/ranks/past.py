"""Explains an error that a sharded parameter raised outside the forward that gathers it."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from typing import Any

from graphlab.language import message
from graphlab.observe.names import parameters_in
from graphlab.observe.refusals.refused_call import RefusedCall
from graphlab.observe.refusals.traceback import ErrorTraceback
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, is_module, is_tensor, shape_of
from graphlab.source.objects import attributes, class_name, items
from graphlab.source.wording import call_text
from graphlab.trace.ranks.sightings import DTENSOR, FSDP, FULLY_SHARD, PastTheWrapper
from graphlab.trace.values import Location


class PastWrappers:
    """Asked once, as the program ends."""

    def __init__(self, watched: Watched) -> None:
        self._files = watched.files
        self.found: list[PastTheWrapper] = []

    def raised(self, error: BaseException) -> None:
        if not isinstance(error, RuntimeError | TypeError | ValueError):
            return
        with Unnoticed():
            self.found += self._explained(error)

    def _explained(self, error: BaseException) -> Iterator[PastTheWrapper]:
        tb = ErrorTraceback(error.__traceback__, self._files)
        tb.look_from(len(tb.entries))
        if tb.caller is None or tb.at is None:
            return
        call = RefusedCall(tb, self._files)
        modules = tb.names.held_modules()
        gathers = FULLY_SHARD if any(map(_gathers, modules)) else DTENSOR
        for kind, found in ((gathers, _sharded(modules)), (FSDP, _flat(modules))):
            parameters = {id(each): each for each in found}
            subject = self._subject(call, tb, parameters) if parameters else None
            if subject is None:
                continue
            named = tb.names.tensors.get(id(subject))
            outer = self._calling(call, tb, subject)
            called = (
                call_text(outer, message("observed.by.the_call"))[0] if outer is not None else ""
            )
            yield PastTheWrapper(tb.at, named.name if named else "", kind, called, outer or tb.at)
            return

    def _subject(self, call: RefusedCall, tb: ErrorTraceback, parameters: dict[int, Any]) -> Any:
        """The parameter that the failing line computes with: by itself, or in the innermost of the
        modules that it calls."""
        direct = call.subject(lambda each: id(each) in parameters)
        if direct is not None:
            return direct.tensor
        for entry in reversed(call.below):
            module = entry.frame.f_locals.get("self")
            if is_module(module):
                held = [each for _, each in items(attributes(module).get("_parameters"))]
                return next((each for each in held if id(each) in parameters), None)
        # FSDP's first wrapper has its module as a property, which is not asked.
        named = {
            name.name: each
            for key, each in parameters.items()
            if (name := tb.names.tensors.get(key)) is not None
        }
        for node in call.expressions():
            text = re.sub(r"\[(\d+)\]", r".\1", ast.unparse(node)).replace(".module", "")
            if text in named:
                return named[text]
        return None

    def _calling(self, call: RefusedCall, tb: ErrorTraceback, subject: Any) -> Location | None:
        """The line that called a method of the module's, where one called the other directly."""
        for caller, callee in reversed([*itertools.pairwise(tb.entries)]):
            if callee.frame.f_code not in self._files or caller.frame.f_code not in self._files:
                continue
            module = callee.frame.f_locals.get("self")
            if not is_module(module) or module is caller.frame.f_locals.get("self"):
                continue
            if any(each is subject for each in parameters_in(module)):
                return caller.at
        return tb.at if call.below else None


def _gathers(module: Any) -> bool:
    """Whether fully_shard was called on a module: other DTensors are never gathered."""
    kind = getattr(sys.modules.get("torch.distributed.fsdp"), "FSDPModule", None)
    return isinstance(kind, type) and type.__subclasscheck__(kind, type(module))


def _sharded(modules: list[Any]) -> Iterator[Any]:
    """The parameters of which this rank has a part: their class is DTensor."""
    for each in parameters_in(*modules):
        if is_tensor(each) and class_name(each) == "DTensor":
            yield each


def _flat(modules: list[Any]) -> Iterator[Any]:
    """The parameters inside FSDP's first wrapper that are a part of a flat one."""
    for each in parameters_in(*(each for each in modules if class_name(each) == FSDP)):
        if len(shape_of(each)) == 1:
            yield each

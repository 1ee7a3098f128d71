"""What is known of a backward that raised as it ran: its arguments, graph, traceback and log."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, FrameType
from typing import Any

import torch

from graphlab.observe.graph.engine import (
    Stopped,
    in_order,
    in_threads_of_its_own,
    named_in,
    raises,
    stopped_at,
)
from graphlab.observe.graph.traced import traced_line
from graphlab.observe.graph.walk import LEAF_SEQ, sequence
from graphlab.observe.hooks.line_tracer import runs
from graphlab.observe.marks import Marks
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, Log, Spot
from graphlab.observe.refusals.traceback import TracebackEntry
from graphlab.source.files import UserFiles, installed
from graphlab.source.objects import is_a, lookup, variables
from graphlab.source.places import locate, parse, place
from graphlab.trace.model import FailedNode, Location, TensorInfo, Trouble

_native: Any = torch._C
_Function: Any = _native._FunctionBase
_ENGINE = getattr(torch.autograd.graph, "_engine_run_backward", None)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a backward failed: the kind of failure, the node, what it is about, and the line that
    brought the program there."""

    trouble: Trouble
    node: FailedNode | None = None
    subject: TensorInfo | None = None
    cut: Cut | None = None


@dataclass(frozen=True)
class FailedCall:
    """One call of backward or grad that raised. entries: the traceback from torch's own function
    on, outermost first. nodes: the graph. log: what was noted before; None in a post-mortem."""

    error: BaseException
    entries: list[TracebackEntry]
    values: dict[str, Any]
    nodes: list[Any]
    keeps: bool
    is_grad: bool
    caller: FrameType | None
    names: Names
    files: UserFiles
    log: Log | None = None
    # Where it was called, as the log has it.
    spot: Spot | None = None

    @cached_property
    def below(self) -> list[TracebackEntry]:
        """The entries of what the engine called."""
        for at, entry in enumerate(self.entries):
            if _runs_engine(entry):
                return self.entries[at + 1 :]
        return self.entries[1:]

    @property
    def began(self) -> bool:
        """Whether the engine ran at all."""
        return _ENGINE is None or any(map(_runs_engine, self.entries))

    @cached_property
    def raised_at(self) -> Location | None:
        """The user's own line that raised, below the engine."""
        mine = [each for each in self.below if each.frame.f_code in self.files]
        return mine[-1].at if mine else None

    @property
    def package(self) -> str:
        """The installed package, other than torch, whose own hook raised below the engine."""
        last = self.below[-1].frame if self.below and self.raised_at is None else None
        if last is None or not installed(last.f_code.co_filename):
            return ""
        name = variables(last.f_globals).get("__name__")
        package = name.partition(".")[0] if type(name) is str else ""
        return package if package != "torch" else ""

    @cached_property
    def stopped(self) -> Stopped:
        if not self.keeps:
            return stopped_at(self.nodes)
        # Nothing is released: any of them may have failed, but for those that always do.
        order = [*in_order(self.nodes)]
        raiser = next((each for each in order if raises(each)), None)
        if raiser is not None:
            return Stopped(raiser, ())
        return Stopped(None, tuple(order))

    @cached_property
    def possible(self) -> list[Any]:
        """The nodes that may be the one that failed; one if that is certain."""
        running = self._running()
        if running is not None:
            return [running]
        stopped = self.stopped
        if stopped.surely is not None and raises(stopped.surely):
            return [stopped.surely]
        named = named_in(str(self.error), stopped.all)
        if named:
            return named
        if self.keeps:
            return [*stopped.all]
        if self.raised_at is not None:
            # A hook, of any of them.
            return [*stopped.all]
        return [stopped.surely] if stopped.surely is not None else [*stopped.all]

    def _running(self) -> Any:
        """The custom Function's node whose backward was running, from torch's own frame."""
        code = _apply_code()
        for entry in self.below:
            if entry.frame.f_code is code:
                node = lookup("self", entry.frame.f_locals)
                if is_a(node, _Function):
                    return node
        return None

    def forward(self, node: Any) -> Location | None:
        """The forward line that made a node: from the log, else where torch's anomaly detection
        was on."""
        seq = sequence(node)
        if self.log is not None and 0 <= seq < LEAF_SEQ:
            mark = self.log.mark_of(seq)
            return locate(mark.code, mark.offset) if mark is not None and mark.code else None
        return traced_line(node, self.files)

    def module(self, node: Any) -> str | None:
        """The name of the module whose call made a node."""
        seq = sequence(node)
        if self.log is None or not 0 <= seq < LEAF_SEQ:
            return None
        mark = self.log.mark_of(seq)
        return self.names.modules.get(mark.module) if mark is not None and mark.module else None

    def user_files(self) -> list[str]:
        """The files of the user's frames."""
        files: dict[str, None] = {}
        frame = self.caller
        while frame is not None:
            if frame.f_code in self.files:
                files.setdefault(frame.f_code.co_filename)
            frame = frame.f_back
        return [*files]

    def only_call(self, fits: Callable[[ast.Call], bool]) -> Location | None:
        """The one call in the files of the user's frames that `fits`, for want of a log."""
        found = [
            (file, node)
            for file in self.user_files()
            for node in ast.walk(parse(file) or ast.Module([], []))
            if isinstance(node, ast.Call) and fits(node)
        ]
        return place(found[0][1], found[0][0]) if len(found) == 1 else None

    @cached_property
    def elsewhere(self) -> Marks | None:
        """The marks of the engine's own thread: none where that is not followed, as before Python
        3.12. None if this backward runs in the caller's thread."""
        if self.log is None or not in_threads_of_its_own(self.nodes):
            return None
        return self.log.in_engine()

    def ran_last(self, code: CodeType) -> Location | None:
        """The last line of the function `code` that ran."""
        if self.log is not None:
            for _, other, offset, _ in reversed([*self.log.marks, *(self.elsewhere or ())]):
                if other is code:
                    return locate(code, offset)
        return None


def _runs_engine(entry: TracebackEntry) -> bool:
    return _ENGINE is not None and runs(entry.frame.f_code, _ENGINE)


def cut_at(node: Any, by: str, file: str, function: str) -> Cut:
    return Cut(node, by if len(by) < 60 else by[:57] + "…", file, function)


def _apply_code() -> CodeType | None:
    function = getattr(torch.autograd.function, "BackwardCFunction", None)
    apply = getattr(function, "apply", None)
    return getattr(apply, "__code__", None)

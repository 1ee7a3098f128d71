"""Watches the ranks that a program starts itself, by torch.multiprocessing.spawn or as processes of
one function."""

from __future__ import annotations

import contextlib
import functools
import linecache
import multiprocessing
import multiprocessing.process
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

from graphlab.errors import UserError
from graphlab.observe.distributed.placement import Placement, assume
from graphlab.observe.observation import Observation
from graphlab.ranks.folder import RunFolder, new_folder, traces_in
from graphlab.ranks.termination import Termination
from graphlab.source.files import installed
from graphlab.trace import store
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import Communicated

# The function that starts the processes is public; it is found in both.
_MODULES, _STARTS = ("torch.multiprocessing.spawn", "torch.multiprocessing"), "start_processes"
# What was forked goes on with this process's observation, which leaves it alone.
_METHOD = "spawn"
# What starts one process; the function that it is to run is kept under a private name, and without
# it the process is not watched.
_PROCESS, _START, _TARGET = multiprocessing.process.BaseProcess, "start", "_target"
# The seconds in which a rank that was told to end has written its trace.
_PATIENCE = 5.0


class Watched:
    """What a process of rank `index` is given to call in place of the program's `function`."""

    def __init__(
        self, function: Callable[..., Any], folder: RunFolder, place: Placement, target: str,
        targets: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._function, self._folder, self._place = function, folder, place
        self._target, self._targets = target, targets

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        assume(self._place)
        observation = Observation(self._target, self._targets)
        ending = Termination(observation, self._leave)
        ending.start()
        try:
            with observation:
                return self._function(*arguments, **more)
        finally:
            ending.program_ended()
            self._leave(observation.trace)
            ending.stop()

    def _leave(self, trace: Trace) -> None:
        # Nobody may be waiting for it: the program that started this process has not joined it.
        with contextlib.suppress(UserError):
            self._folder.write(self._place, trace)


class WatchedSpawn:
    """What torch.multiprocessing.spawn is given to call, with the number of each process."""

    def __init__(self, function: Callable[..., Any], count: int, *more: Any) -> None:
        self._function, self._count, self._more = function, count, more

    def __call__(self, index: int, *arguments: Any) -> Any:
        folder, target, targets = self._more
        place = Placement(index, self._count, self._count)
        return Watched(self._function, folder, place, target, targets)(index, *arguments)


class SpawnedRanks:
    """From `start` to `stop`, what spawns processes has them watched."""

    def __init__(self, target: str, targets: tuple[str, ...], within: Path | None = None) -> None:
        """within: the folder for those of the ranks, else that of temporary files."""
        self._target, self._targets, self._within = target, targets, within
        self._runs: list[tuple[RunFolder, int]] = []
        # Of each function that processes were started with, its place among the runs.
        self._functions: dict[Any, int] = {}
        self._process = os.getpid()
        self._before: list[tuple[Any, str, Any]] = []

    def start(self) -> None:
        """torch must have been imported."""
        for name in _MODULES:
            module = sys.modules.get(name)
            function = getattr(module, _STARTS, None)
            if function is not None:
                self._before.append((module, _STARTS, function))
                setattr(module, _STARTS, self._starting(function))
        self._before.append((_PROCESS, _START, _PROCESS.start))
        setattr(_PROCESS, _START, self._process_starting(_PROCESS.start))

    def stop(self) -> None:
        """Put back what was there before. Safe to call twice."""
        while self._before:
            setattr(*self._before.pop())

    def remove(self) -> None:
        for folder, _ in self._runs:
            folder.remove()

    def ranks(self) -> tuple[RunFolder, int] | None:
        """The first that were started together and communicated with each other, and their number:
        processes that do not are no ranks."""
        for folder, count in self._runs:
            if any(_communicated(store.loads(path.read_text())) for path in _files(folder)):
                return folder, count
        return None

    def joint(self) -> Joint | None:
        """The traces of those that `ranks` gives."""
        found = self.ranks()
        if found is None:
            return None
        folder, count = found
        traces = {rank: store.loads(at.read_text()) for rank, at in traces_in(folder.path).items()}
        return Joint(traces, count)

    def end(self) -> None:
        """Have those that still run leave their traces, as a launcher ends its ranks."""
        running = multiprocessing.active_children() if self._runs else []
        for each in running:
            each.terminate()
        for each in running:
            each.join(_PATIENCE)

    def _starting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def start_processes(
            fn: Any, args: Any = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
            start_method: str = _METHOD, **more: Any,
        ) -> Any:  # fmt: skip
            if start_method == _METHOD and type(nprocs) is int and nprocs > 1:
                folder = new_folder(self._within)
                self._runs.append((folder, nprocs))
                fn = WatchedSpawn(fn, nprocs, folder, self._target, self._targets)
            return function(fn, args, nprocs, join, daemon, start_method, **more)

        return start_processes

    def _process_starting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def start(process: Any) -> Any:
            run: Any = getattr(process, _TARGET, None)
            # A forked child has these methods too, and starts what are no ranks.
            if os.getpid() == self._process and _may_be_rank(run):
                setattr(process, _TARGET, self._one_more(run))
            return function(process)

        return start

    def _one_more(self, run: FunctionType) -> Watched:
        at = self._functions.setdefault(run.__code__, len(self._runs))
        if at == len(self._runs):
            self._runs.append((new_folder(self._within), 0))
        folder, index = self._runs[at]
        self._runs[at] = folder, index + 1
        # How many there will be is not known: the report takes the largest of these numbers.
        place = Placement(index, max(index + 1, 2), max(index + 1, 2))
        return Watched(run, folder, place, self._target, self._targets)


def _may_be_rank(run: Any) -> bool:
    """Whether it is a function of the program's, in a file that speaks of torch.distributed."""
    if type(run) is not FunctionType or installed(run.__code__.co_filename):
        return False
    # The workers of a DataLoader, also where torch is no installed package.
    if run.__module__.partition(".")[0] == "torch":
        return False
    return any("distributed" in line for line in linecache.getlines(run.__code__.co_filename))


def _files(folder: RunFolder) -> list[Any]:
    return [*traces_in(folder.path).values()]


def _communicated(trace: Trace) -> bool:
    return any(isinstance(each, Communicated) for each in trace.sightings)

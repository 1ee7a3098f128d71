"""Watches the ranks that a program starts itself, by torch.multiprocessing.spawn."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphlab.errors import UserError
from graphlab.observe.distributed.placement import Placement, assume
from graphlab.observe.observation import Observation
from graphlab.ranks.folder import RunFolder, new_folder, traces_in
from graphlab.ranks.termination import Termination
from graphlab.trace import store
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import Communicated

# The function that starts the processes is public; it is found in both.
_MODULES, _STARTS = ("torch.multiprocessing.spawn", "torch.multiprocessing"), "start_processes"
# What was forked goes on with this process's observation, which leaves it alone.
_METHOD = "spawn"
# The seconds in which a rank that was told to end has written its trace.
_PATIENCE = 5.0


class Watched:
    """What a spawned process is given to call in place of the program's `function`."""

    def __init__(
        self, function: Callable[..., Any], folder: RunFolder, count: int, target: str,
        targets: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._function, self._folder, self._count = function, folder, count
        self._target, self._targets = target, targets

    def __call__(self, index: int, *arguments: Any) -> Any:
        place = Placement(index, self._count, self._count)
        assume(place)
        observation = Observation(self._target, self._targets)
        ending = Termination(observation, lambda trace: self._leave(place, trace))
        ending.start()
        try:
            with observation:
                return self._function(index, *arguments)
        finally:
            ending.program_ended()
            self._leave(place, observation.trace)
            ending.stop()

    def _leave(self, place: Placement, trace: Trace) -> None:
        # Nobody may be waiting for it: the program that started this process has not joined it.
        with contextlib.suppress(UserError):
            self._folder.write(place, trace)


class SpawnedRanks:
    """From `start` to `stop`, what spawns processes has them watched."""

    def __init__(self, target: str, targets: tuple[str, ...], within: Path | None = None) -> None:
        """within: the folder for those of the ranks, else that of temporary files."""
        self._target, self._targets, self._within = target, targets, within
        self._runs: list[tuple[RunFolder, int]] = []
        self._before: list[tuple[Any, Any]] = []

    def start(self) -> None:
        """torch must have been imported."""
        for name in _MODULES:
            module = sys.modules.get(name)
            function = getattr(module, _STARTS, None)
            if function is not None:
                self._before.append((module, function))
                setattr(module, _STARTS, self._starting(function))

    def stop(self) -> None:
        """Put back what was there before. Safe to call twice."""
        while self._before:
            module, function = self._before.pop()
            setattr(module, _STARTS, function)

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
                fn = Watched(fn, folder, nprocs, self._target, self._targets)
            return function(fn, args, nprocs, join, daemon, start_method, **more)

        return start_processes


def _files(folder: RunFolder) -> list[Any]:
    return [*traces_in(folder.path).values()]


def _communicated(trace: Trace) -> bool:
    return any(isinstance(each, Communicated) for each in trace.sightings)

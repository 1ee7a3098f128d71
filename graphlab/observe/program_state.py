"""Swaps `sys.argv`, `sys.path` and `sys.modules` between the program and graphlab."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from types import ModuleType
from typing import Any

from graphlab.source.files import UserFiles

# Modules that the program and graphlab share.
_SHARED = ("graphlab", "torch", "__main__")


@dataclass(frozen=True, slots=True)
class _Side:
    """The state of `sys` on one side. `modules` are those that the other side must not find."""

    argv: list[str]
    path: list[str]
    streams: tuple[Any, ...]
    folder: str | None
    modules: dict[str, ModuleType]


class SysSwap:
    """The program's state of `sys` and graphlab's, one of which is in place.

    A file beside the program may be called as a module that graphlab has imported: `html.py`. The
    program's `import html` must find that file, as under plain Python, and ours must not. So the
    modules of one side are put away while the other's turn lasts.
    """

    def __init__(self, argv: list[str], folder: str, main: ModuleType, files: UserFiles) -> None:
        self._files = files
        self._before = frozenset(sys.modules)
        path, taken = path_from(folder), taken_names(folder)
        if taken:
            # Graphlab must not import its own modules from among the program's files later.
            _import_all_that_observes()
        self._ours = [
            name for name in sys.modules if name == "__main__" or name.partition(".")[0] in taken
        ]
        self._other = _Side(argv, path, _streams(), _folder(), {"__main__": main})

    def enter(self) -> None:
        """The program begins."""
        self._swap(self._ours)

    def leave(self) -> None:
        """The program has ended: what it imported from its own files goes with it."""
        self._swap([*self._ours, *self._its_own()])

    def resume(self) -> None:
        """Give the program its side back, for what it left to be done when Python ends."""
        self._swap(self._ours)

    def _swap(self, leaving: list[str]) -> None:
        put_away = {name: sys.modules.pop(name) for name in leaving if name in sys.modules}
        argv = getattr(sys, "argv", [])
        here = _Side(argv, sys.path, _streams(), _folder(), put_away)
        there, self._other = self._other, here
        sys.argv, sys.path = there.argv, there.path
        sys.stdin, sys.stdout, sys.stderr = there.streams
        sys.modules.update(there.modules)
        if there.folder is not None and there.folder != here.folder:
            # A folder that is gone is stayed away from; files were named from it before that.
            with contextlib.suppress(OSError):
                os.chdir(there.folder)

    def _its_own(self) -> list[str]:
        found = []
        for name, module in list(sys.modules.items()):
            file = _dict(module).get("__file__")
            if name not in self._before and isinstance(file, str) and file in self._files:
                found.append(name)
        return found


def path_from(folder: str) -> list[str]:
    """`sys.path` for a program in `folder`, which takes the place of where we were started from.
    With `python -P` there is no such place."""
    return sys.path[:] if sys.flags.safe_path else [folder, *sys.path[1:]]


def taken_names(folder: str) -> frozenset[str]:
    """The loaded modules whose names files in `folder` take, and would take in a plain Python that
    puts `folder` first: not those that Python has loaded before any program."""
    if sys.flags.safe_path:
        return frozenset()
    try:
        names = {entry.partition(".")[0] for entry in os.listdir(folder)}
    except OSError:
        return frozenset()
    names = (names & sys.modules.keys()).difference(_SHARED)
    taken = frozenset(name for name in names if _is_taken(name, folder))
    return taken - _loaded_at_start() if taken else taken


def _is_taken(name: str, folder: str) -> bool:
    if BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
        return False
    spec = PathFinder.find_spec(name, [folder])
    loaded = _dict(sys.modules[name]).get("__file__")
    return spec is not None and spec.loader is not None and spec.origin != loaded


def _loaded_at_start() -> frozenset[str]:
    """What a Python of this installation has loaded before it runs the first line."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    return frozenset(done.stdout.split())


def _import_all_that_observes() -> None:
    for each in pkgutil.walk_packages([os.path.dirname(__file__)], f"{__package__}."):
        importlib.import_module(each.name)


def _dict(module: Any) -> dict[str, Any]:
    """Its `__dict__`, read without a module's own code; {} for what is no module."""
    if not issubclass(type(module), ModuleType):
        return {}
    return object.__getattribute__(module, "__dict__")


def _streams() -> tuple[Any, ...]:
    # A program may have deleted any of them.
    return tuple(getattr(sys, name, None) for name in ("stdin", "stdout", "stderr"))


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None

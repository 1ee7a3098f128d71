"""Decides which files are the user's own, and finds the nearest frame that runs one."""

from __future__ import annotations

import contextlib
import linecache
import os
import site
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType

from graphlab.source.objects import attributes

# What a program that is given to `python -c` names, if it is one to observe.
_USED = frozenset(("torch", "graphlab"))

# Nothing that was written before can have been written by the program.
_BEGAN = time.time()

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _library_folders() -> tuple[str, ...]:
    torch = sys.modules.get("torch")
    return _folders(torch.__file__ if torch is not None else None)


@lru_cache(maxsize=2)
def _folders(torch: str | None) -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    # Where the modules are in use may be another folder than the one that sysconfig names.
    found.add(os.path.dirname(os.__file__))
    found.update(site.getsitepackages())
    found.add(site.getusersitepackages())
    if torch:
        found.add(os.path.dirname(torch))
    return tuple(os.path.join(os.path.realpath(path), "") for path in found)


def installed(path: str) -> bool:
    """Whether a file is an installed package's."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))


@lru_cache(maxsize=64)
def codes_of(text: str) -> frozenset[CodeType]:
    """The code objects that Python makes of a program: equal to those that run, which need not be
    the same."""
    try:
        waiting = [compile(text, "<string>", "exec", dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[CodeType] = set()
    while waiting:
        code = waiting.pop()
        found.add(code)
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
    return frozenset(found)


def _generated(filename: str, path: str) -> bool:
    """Whether a library wrote this file as the program ran: a temporary one, loaded under another
    name than a file of that name would be imported by."""
    if not path.startswith(os.path.join(os.path.realpath(tempfile.gettempdir()), "")):
        return False
    with contextlib.suppress(OSError):
        if os.stat(path).st_mtime < _BEGAN:
            return False
    stem = os.path.splitext(os.path.basename(path))[0]
    names = [
        name
        for name, module in list(sys.modules.items())
        if attributes(module).get("__file__") == filename
    ]
    return (
        bool(names)
        and not {"__main__", "__mp_main__", "<run_path>"}.intersection(names)
        and not any(stem in (name.rpartition(".")[2], "__init__", "__main__") for name in names)
    )


class UserFiles:
    """Decides by file name; the answer is cached. `targets` are files or folders that count as the
    user's even inside site-packages: the script to run, or the package given to -m."""

    def __init__(self, targets: tuple[str, ...] = ()) -> None:
        self.targets = tuple(os.path.realpath(path) for path in targets)
        self._libraries = _library_folders()
        # The answers that are true of a whole file; where the code tells, there is none.
        self.known: dict[str, bool] = {}
        self._known: dict[str, bool] = {}
        self._folders: dict[str, str] = {}

    def __contains__(self, what: str | CodeType) -> bool:
        """Whether a file, or a code object, is the user's. Ask for the code where there is one:
        what Python generates, for a dataclass say, is called `<string>`, and so is the program
        that is given to `python -c`."""
        if not isinstance(what, CodeType):
            return self._is_users(what)
        filename = what.co_filename
        if not self._is_users(filename):
            return False
        if not filename.startswith("<string"):
            return True
        return what in codes_of("".join(linecache.getlines(filename)))

    def _is_users(self, filename: str) -> bool:
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._decide(filename)
            if not known or not filename.startswith("<string"):
                self.known[filename] = known
        return known

    def _decide(self, filename: str) -> bool:
        if filename.startswith("<string"):
            # Python 3.13 and later keep the lines of `python -c`. Whoever starts a process in this
            # way, as multiprocessing and pytest-xdist do, imports what the process is for later.
            codes = codes_of("".join(linecache.getlines(filename)))
            return any(not _USED.isdisjoint(code.co_names) for code in codes)
        if filename.startswith("<"):
            # Python's frozen modules and torch's generated code have such names; a cell or a line
            # at the prompt does too, but linecache has its lines.
            return filename.startswith(("<stdin", "<ipython", "<python-input")) and bool(
                linecache.getlines(filename)
            )
        path = self._real(filename)
        for target in self.targets:
            if path == target:
                return True
            if path.startswith(os.path.join(target, "")):
                # A virtual environment is often inside the project's folder.
                return not installed(path[len(target) :])
        if path.startswith(os.path.join(PACKAGE, "scenarios", "")):
            return True
        if path.startswith(os.path.join(PACKAGE, "")):
            return False
        if path.startswith(self._libraries) or installed(path):
            return False
        return not _generated(filename, path)

    def _real(self, filename: str) -> str:
        """os.path.realpath, which asks for every folder on the way, but once for each folder."""
        folder, name = os.path.split(filename)
        if not os.path.isabs(folder) or name in ("", ".", "..") or os.path.islink(filename):
            return os.path.realpath(filename)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        return os.path.join(real, name)


def user_frame(frame: FrameType | None, files: UserFiles) -> FrameType | None:
    """The nearest frame, from `frame` outwards, that runs one of the user's files."""
    # Asked several times a backward and a step: most answers are a look-up.
    known = files.known
    while frame is not None:
        code = frame.f_code
        answer = known.get(code.co_filename)
        if code in files if answer is None else answer:
            return frame
        frame = frame.f_back
    return None


def calls_key(frames: list[FrameType]) -> tuple[int, ...]:
    """What is the same whenever these frames stand at these calls. Their codes are told by their
    identity, so whoever keeps the key keeps the codes as well."""
    return tuple(part for each in frames for part in (id(each.f_code), each.f_lasti))


def user_frames(frame: FrameType | None, files: UserFiles) -> Iterator[FrameType]:
    """Every frame, from `frame` outwards, that runs one of the user's files."""
    while (frame := user_frame(frame, files)) is not None:
        yield frame
        frame = frame.f_back

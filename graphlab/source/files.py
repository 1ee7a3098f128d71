"""Decides which files are the user's own, and finds the nearest frame that runs one."""

from __future__ import annotations

import linecache
import os
import site
import sys
import sysconfig
import tempfile
from types import FrameType

from graphlab.source.objects import attributes

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(site.getsitepackages())
    found.add(site.getusersitepackages())
    torch = sys.modules.get("torch")
    if torch is not None and torch.__file__:
        found.add(os.path.dirname(torch.__file__))
    return tuple(os.path.join(os.path.realpath(path), "") for path in found)


def _installed(path: str) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))


def _generated(filename: str, path: str) -> bool:
    """Whether a library wrote this file as the program ran: a temporary one, loaded under another
    name than a file of that name would be imported by."""
    if not path.startswith(os.path.join(os.path.realpath(tempfile.gettempdir()), "")):
        return False
    stem = os.path.splitext(os.path.basename(path))[0]
    names = [
        name
        for name, module in list(sys.modules.items())
        if attributes(module).get("__file__") == filename
    ]
    return (
        bool(names)
        and not {"__main__", "__mp_main__"}.intersection(names)
        and not any(stem in (name.rpartition(".")[2], "__init__", "__main__") for name in names)
    )


class UserFiles:
    """Decides by file name; the answer is cached. `targets` are files or folders that count as the
    user's even inside site-packages: the script to run, or the package given to -m."""

    def __init__(self, targets: tuple[str, ...] = ()) -> None:
        self._targets = tuple(os.path.realpath(path) for path in targets)
        self._libraries = _library_folders()
        self._known: dict[str, bool] = {}

    def __contains__(self, filename: str) -> bool:
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._decide(filename)
        return known

    def _decide(self, filename: str) -> bool:
        if filename.startswith("<"):
            # Python's frozen modules and torch's generated code have such names; a cell or
            # a `python -c` program does too, but linecache has its lines.
            return filename.startswith(("<stdin", "<string", "<ipython")) and bool(
                linecache.getlines(filename)
            )
        path = os.path.realpath(filename)
        for target in self._targets:
            if path == target:
                return True
            if path.startswith(os.path.join(target, "")):
                # A virtual environment is often inside the project's folder.
                return not _installed(path[len(target) :])
        if path.startswith(os.path.join(PACKAGE, "scenarios", "")):
            return True
        if path.startswith(os.path.join(PACKAGE, "")):
            return False
        if path.startswith(self._libraries) or _installed(path):
            return False
        return not _generated(filename, path)


def user_frame(frame: FrameType | None, files: UserFiles) -> FrameType | None:
    """The nearest frame, from `frame` outwards, that runs one of the user's files."""
    while frame is not None and frame.f_code.co_filename not in files:
        frame = frame.f_back
    return frame

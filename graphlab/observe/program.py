"""Runs a script or module as Python itself would, with a session around it."""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from graphlab.errors import UserError
from graphlab.observe.depth import depth_of
from graphlab.observe.session import Session, strip_own_frames
from graphlab.trace.model import Trace


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: its code, the globals it starts with, argv[0] and sys.path[0]."""

    code: CodeType
    name: str
    spec: Any
    file: str
    path0: str
    targets: tuple[str, ...]
    loader: Any


def script(path: str) -> Program:
    """Raises UserError when the file is missing, unreadable or not Python."""
    from pathlib import Path

    from graphlab.catalogue import docstring

    if os.path.isdir(path):
        raise UserError(f"{path} is a folder, not a script", "name the file to run")
    docstring(Path(path))
    # As Python does: an absolute path, otherwise as it was typed.
    full = os.path.join(os.getcwd(), path)
    with io.open_code(full) as file:
        code = compile(file.read(), full, "exec", dont_inherit=True)
    folder = os.path.dirname(os.path.realpath(path))
    loader = SourceFileLoader("__main__", full)
    return Program(code, path, None, full, folder, (path,), loader)


def module(name: str) -> Program:
    """Raises UserError when there is no such module, or it cannot be run."""
    sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        raise UserError(f"no module can be run as {name}: {error}", "check the name") from None
    finally:
        sys.path.remove(os.getcwd())
    loader = spec.loader if spec is not None else None
    try:
        code = loader.get_code(spec.name) if spec and hasattr(loader, "get_code") else None  # type: ignore[union-attr]
    except SyntaxError as error:
        raise UserError(
            f"line {error.lineno} of {error.filename} is not valid Python: {error.msg}",
            f"run `python -m {name}` to see the place",
        ) from None
    if spec is None or code is None or spec.origin is None:
        raise UserError(
            f"no module is called {name}, or it has no __main__",
            "name it as for `python -m`, from the folder that holds it",
        )
    top = os.path.join(os.path.dirname(spec.origin))
    return Program(code, name, spec, spec.origin, os.getcwd(), (top,), loader)


@dataclass(frozen=True, slots=True)
class Ran:
    trace: Trace
    exit_code: int
    # The program's globals, as it left them.
    variables: dict[str, Any]


def run(
    program: Program,
    arguments: list[str],
    target: str,
    started: Callable[[Session], None] | None = None,
) -> Ran:
    """Run it under observation, print its own traceback as Python would, and say how it ended.

    `started` is called with the session just before the program begins.
    """
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=program.file,
        __spec__=program.spec,
        __package__=program.spec.parent if program.spec is not None else None,
        __builtins__=builtins,
        __annotations__={},
        __cached__=getattr(program.spec, "cached", None),
        __loader__=program.loader,
    )
    kept = sys.argv, sys.path[:], sys.modules.get("__main__")
    sys.argv = [program.file if program.spec is not None else program.name, *arguments]
    sys.path[0] = program.path0
    sys.modules["__main__"] = main
    here = os.getcwd()
    session = Session(target, program.targets)
    error: BaseException | None = None
    try:
        try:
            if started is not None:
                started(session)
            session.start(below=depth_of(sys._getframe()))
            exec(program.code, main.__dict__)
        except BaseException as caught:
            error = caught
        finally:
            session.stop(error)
        code = _finish(error)
        return Ran(session.trace, code, main.__dict__)
    finally:
        sys.argv, sys.path[:] = kept[0], kept[1]
        if kept[2] is not None:
            sys.modules["__main__"] = kept[2]
        # The program may have gone elsewhere; the report's file was named from here.
        with contextlib.suppress(OSError):
            os.chdir(here)
        # The program's objects may still be running in threads or at exit: keep them whole.
        _kept.append(main)


_kept: list[ModuleType] = []


def _finish(error: BaseException | None) -> int:
    """Print what Python prints for `error` at top level, and give Python's exit code."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    strip_own_frames(error)
    sys.stdout.flush()
    sys.excepthook(type(error), error, error.__traceback__)
    return 130 if isinstance(error, KeyboardInterrupt) else 1

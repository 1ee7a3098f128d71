"""Runs a script or module as Python itself would, with a session around it."""

from __future__ import annotations

import atexit
import builtins
import importlib.util
import linecache
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from graphlab.catalogue import compiling, read_source
from graphlab.errors import Unreported, UserError
from graphlab.language import message
from graphlab.observe import program_end
from graphlab.observe.hooks.stack_depth import depth_of
from graphlab.observe.observation import Observation
from graphlab.observe.process_state import PROCESS
from graphlab.observe.program_state import SysSwap, path_from, taken_names
from graphlab.source.files import UserFiles
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
    if os.path.isdir(path):
        raise UserError(message("usage.is_folder", path=path), message("usage.help.name_script"))
    source = read_source(path)
    # As Python does: an absolute path, otherwise as it was typed.
    full = os.path.join(os.getcwd(), path)
    if not os.path.isfile(path):
        # A pipe is read once: nobody can look its lines up again.
        lines = source.decode(errors="replace").splitlines(keepends=True)
        linecache.cache[full] = (len(source), None, lines, full)
    with compiling(path, f"python {path}"):
        # Python refuses a file that is not in its encoding; compile alone lets comments pass.
        importlib.util.decode_source(source)
        code = compile(source, full, "exec", dont_inherit=True)
    folder = os.path.dirname(os.path.realpath(path))
    loader = SourceFileLoader("__main__", full)
    return Program(code, path, None, full, folder, (path,), loader)


def module(name: str) -> Program:
    """Raises UserError when there is no such module, or it cannot be run."""
    here = os.getcwd()
    top = name.partition(".")[0]
    # A module of that name which graphlab has imported is not the one that is asked for.
    ours = [each for each in sys.modules if each.partition(".")[0] == top]
    hidden = {each: sys.modules.pop(each) for each in ours} if top in taken_names(here) else {}
    kept, sys.path = sys.path, path_from(here)
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
        loader: Any = spec.loader if spec is not None else None
        with compiling(f"the module {name}", f"python -m {name}"):
            code = loader.get_code(spec.name) if spec and hasattr(loader, "get_code") else None
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            message("usage.no_module_runs", name=name, why=str(error)),
            message("usage.help.check_name"),
        ) from None
    except (Exception, SystemExit) as error:
        # The packages around a module are imported to find it, and may do anything.
        raise UserError(
            message("usage.no_module_runs", name=name, why=f"{type(error).__name__}: {error}"),
            message("usage.help.run_to_see", command=f"python -m {name}"),
        ) from None
    finally:
        sys.path = kept
        sys.modules.update(hidden)
    if spec is None or code is None or spec.origin is None:
        raise UserError(
            message("usage.no_module", name=repr(name)), message("usage.help.as_for_python")
        )
    return Program(code, name, spec, spec.origin, here, (os.path.dirname(spec.origin),), loader)


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run."""

    trace: Trace
    exit_code: int
    # The program's globals, as it left them.
    variables: dict[str, Any]


def run(
    program: Program,
    arguments: list[str],
    target: str,
    started: Callable[[Observation], None] | None = None,
    last: bool = False,
) -> Ran:
    """Run it under observation, print its own traceback as Python would, and say how it ended.

    `started` is called with the session just before the program begins. With `last` the program
    is all that this process was started for: its threads are waited for as Python waits for them,
    and what it left to be done at exit finds `sys` as it was left.

    Raises:
        Unreported: when the observer fails; the exit code is in it.
        SystemExit: in a child that the program forked: it ends there as under plain Python, and
            nothing is reported of it.
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
    argv = [program.file if program.spec is not None else program.name, *arguments]
    session = Observation(target, program.targets)
    sys_swap = SysSwap(argv, program.path0, main, UserFiles(program.targets))
    process = os.getpid()
    error: BaseException | None = None
    sys_swap.enter()
    try:
        if started is not None:
            started(session)
        session.start(below=depth_of(sys._getframe()))
        exec(program.code, main.__dict__)
    except BaseException as caught:
        error = caught
    # Outside of the handler, as the program's own hook must find no exception being handled.
    program_end.flush()
    code = program_end.exit_code(error)
    if os.getpid() != process:
        raise SystemExit(code)
    try:
        if last:
            program_end.wait_for_threads()
            program_end.flush()
            limits = program_end.hold_time_limits()
            atexit.register(program_end.put_back_time_limits, limits)
        session.stop(error)
        return Ran(session.trace, code, main.__dict__)
    except Exception as own:
        raise Unreported(code, own) from own
    finally:
        sys_swap.leave()
        if last:
            # Called before whatever the program itself has registered.
            atexit.register(sys_swap.resume)
        # The program's objects may still be running in threads or at exit: keep them whole.
        PROCESS.mains.append(main)

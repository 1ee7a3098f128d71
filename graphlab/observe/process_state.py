"""Holds what the process has one of: the active observation, and what must outlive a program."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from graphlab.source.objects import attributes, items


@dataclass(slots=True)
class ProcessState:
    """The one instance is `PROCESS`; a forked child has a copy of it.

    active: the Observation that is open, None if there is none. mains: the main modules of programs
    that have run, whose threads and exit functions may still use them. held: lists of autograd
    nodes by `id()`, each kept until the losses that it was walked from are gone. alive: how many of
    each list's losses are alive. gone: the lists with none left. skipped: graphlab's modules whose
    code Dynamo was told to skip. modules: how many modules there were in the process then. hidden:
    the thread that runs torch for the observer's own sake, which is not to be noted; 0 for none.
    """

    active: Any = None
    mains: list[ModuleType] = field(default_factory=list)
    held: dict[int, list[Any]] = field(default_factory=dict)
    alive: dict[int, int] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    modules: int = 0
    hidden: int = 0


PROCESS = ProcessState()


def _forked() -> None:
    if PROCESS.active is not None:
        PROCESS.active.leave_child()
        PROCESS.active = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

# The dict is never freed, not even at interpreter exit: its nodes must outlive the program's own
# variables.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(PROCESS.held))


def stored_parameters() -> Iterator[tuple[str, Any]]:
    """The parameters that pyro keeps for the whole process, as its users ask for them. Private:
    `ParamStoreDict._params`; without it they have no names."""
    holder = attributes(sys.modules.get("pyro.primitives")).get("_PYRO_PARAM_STORE")
    for name, each in items(attributes(holder).get("_params")):
        yield f'pyro.param("{name}")', each

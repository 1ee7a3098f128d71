"""graphlab: a debugger and a classroom for PyTorch's autograd graph."""

from __future__ import annotations

from graphlab._version import __version__

# Stands for typing.TYPE_CHECKING. Nothing is imported here: under `python -m graphlab` the user's
# folder comes first on sys.path by now, and a typing.py in it would be imported instead.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from graphlab.api.explanation import Explanation as Explanation
    from graphlab.api.explanation import explain as explain
    from graphlab.api.figure import Figure as Figure
    from graphlab.api.figure import render as render
    from graphlab.api.install import install as install
    from graphlab.api.player import Player as Player
    from graphlab.api.session import Session as Session
    from graphlab.api.session import watch as watch

__all__ = [
    "Explanation",
    "Figure",
    "Player",
    "Session",
    "__version__",
    "explain",
    "install",
    "render",
    "watch",
]

_HOMES = {
    "Explanation": "graphlab.api.explanation",
    "Figure": "graphlab.api.figure",
    "Player": "graphlab.api.player",
    "Session": "graphlab.api.session",
    "explain": "graphlab.api.explanation",
    "install": "graphlab.api.install",
    "render": "graphlab.api.figure",
    "watch": "graphlab.api.session",
}


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext graphlab`` in IPython or a notebook: the cell magic ``%%graphlab``."""
    from graphlab.api.notebook import load

    load(shell)


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import graphlab` alone stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'graphlab' has no attribute {name!r}")
    import gc
    import sys
    from importlib import import_module

    # rich draws a random number when it is imported, which would change the program's.
    random: Any = sys.modules.get("random")
    state = random.getstate() if hasattr(random, "getstate") else None
    # The garbage collector would look through all that is loaded, time and again.
    collects = gc.isenabled()
    gc.disable()
    try:
        return getattr(import_module(_HOMES[name]), name)
    finally:
        if collects:
            gc.enable()
        if state is not None:
            random.setstate(state)

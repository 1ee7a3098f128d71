"""graphlab.install(): hooks that explain an uncaught autograd error below its traceback."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any


class Installed:
    """What `install` put in place; `uninstall` takes it away again."""

    def __init__(self) -> None:
        self._on = True
        self._except = sys.excepthook
        self._thread = threading.excepthook
        # Kept, since each access to a bound method makes another object.
        self._own_except: Callable[..., None] = self._uncaught
        self._own_thread: Callable[..., None] = self._uncaught_in_thread
        self._shell: Any = None
        sys.excepthook = self._own_except
        threading.excepthook = self._own_thread
        if "IPython" in sys.modules:
            self._shell = sys.modules["IPython"].get_ipython()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._cell_ran)

    def uninstall(self) -> None:
        """Put back the hooks that were there. Safe to call twice."""
        global _installed
        self._on = False
        # A hook that was set since stays, and may call this one, which now only passes on.
        if sys.excepthook is self._own_except:
            sys.excepthook = self._except
        if threading.excepthook is self._own_thread:
            threading.excepthook = self._thread
        if self._shell is not None:
            self._shell.events.unregister("post_run_cell", self._cell_ran)
            self._shell = None
        if _installed is self:
            _installed = None

    def _uncaught(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        self._except(kind, error, traceback)
        self._tell(error)

    def _uncaught_in_thread(self, args: Any) -> None:
        self._thread(args)
        self._tell(args.exc_value)

    def _cell_ran(self, result: Any) -> None:
        """Called by IPython when it has shown the traceback."""
        self._tell(result.error_in_exec)

    def _tell(self, error: BaseException | None) -> None:
        """Print the explanation. Never raises, to leave the program's exit code alone."""
        # Without torch no error is autograd's; under `graphlab run` the report says more.
        if not self._on or not isinstance(error, Exception) or "torch" not in sys.modules:
            return
        if _under_run():
            return
        try:
            from graphlab.api.explanation import explain

            explanation = explain(error)
            if explanation.trace is None:
                return
            if self._shell is not None:
                import_module("IPython.display").display(explanation)
                return
            from rich.text import Text

            from graphlab.views import console

            console.emit(console.stderr(), Text(), explanation)
        except KeyboardInterrupt:
            return
        except Exception:
            if os.environ.get("GRAPHLAB_DEBUG"):
                import traceback

                traceback.print_exc()


_installed: Installed | None = None


def install() -> Installed:
    """Explain every uncaught autograd error below its traceback from now on: which tensors are
    stale, by name, who most likely wrote them, and the repair::

        import graphlab; graphlab.install()

    Only the exception hooks of `sys`, of `threading` and of a running IPython are set. They call
    the previous hook first, and print nothing for other errors. A second call returns the same
    object.
    """
    global _installed
    if _installed is None:
        _installed = Installed()
    return _installed


def _under_run() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "graphlab.observe.program":
            return True
        frame = frame.f_back
    return False

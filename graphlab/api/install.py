"""install(): after the traceback of an autograd error, what that traceback tells."""

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
        # One object each: what is taken away must be what was put there.
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
        # One that was set since, and calls ours, stays: ours passes everything on by now.
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
        """IPython has shown the traceback by now."""
        self._tell(result.error_in_exec)

    def _tell(self, error: BaseException | None) -> None:
        """Never raises: the program's own traceback and exit code are what matters."""
        # Without torch no error is autograd's, and under `graphlab run` the report knows more.
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
    """From now on, let the traceback of an uncaught autograd error be followed by what it tells:
    the tensors that are stale, by name, who most likely wrote them, and the repair::

        import graphlab; graphlab.install()

    Only the hooks of `sys`, of `threading` and of a running IPython are set; they call those
    that were there before first, and say nothing to any other error. A second call gives the
    same object again.
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

"""The one error that a command shows: what is wrong, and what to do. And which are not ours."""

from __future__ import annotations

import signal
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any


class UserError(Exception):
    """A mistake that the user can mend. Shown as ``error: …`` and ``help: …``, exit code 2."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.message, self.help = message, help


class Unreported(Exception):
    """The program has run with `exit_code`, but its trace could not be built."""

    def __init__(self, exit_code: int, error: Exception) -> None:
        super().__init__(f"internal error in graphlab: {type(error).__name__}: {error}")
        self.exit_code = exit_code


def pass_on(error: Exception) -> None:
    """Raise `error` again if a signal handler of the program raised it: a time limit that ended
    while graphlab was at work is no failure of graphlab's, and the program waits for it."""
    raised = error.__traceback__
    if raised is None or raised.tb_next is None:
        return
    codes = {_code_of(signal.getsignal(each)) for each in signal.valid_signals()} - {None}
    while raised is not None:
        if raised.tb_frame.f_code in codes:
            raise error
        raised = raised.tb_next


def _code_of(handler: Any) -> CodeType | None:
    while type(handler) is partial:
        handler = handler.func
    if type(handler) is MethodType:
        handler = handler.__func__
    if type(handler) is not FunctionType:
        found = (vars(each).get("__call__") for each in type(handler).__mro__)
        handler = next((each for each in found if each is not None), None)
    return handler.__code__ if type(handler) is FunctionType else None

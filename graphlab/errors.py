"""The one error that a command shows: what is wrong, and what to do."""

from __future__ import annotations


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

"""The one error that a command shows: what is wrong, and what to do."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend. Shown as ``error: …`` and ``help: …``, exit code 2."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help

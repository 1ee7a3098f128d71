"""The one error the lab raises for a mistake of its user."""

from __future__ import annotations

import sys


class LabError(SystemExit):
    """A mistake of the user's: two lines on stderr, exit code 2, no traceback.

    `message` says what is wrong and `help` what to do; line breaks in either become spaces, so
    that each stays one line.
    """

    def __init__(self, message: str, help: str) -> None:
        super().__init__(2)
        self.message = " ".join(message.splitlines())
        self.help = " ".join(help.splitlines())
        # Python prints nothing for an exit code that is a number, and a runner that passes
        # SystemExit through prints nothing either, so the lines are written here.
        print(f"error: {self.message}\nhelp: {self.help}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return self.message

"""Sees to the report where the last rank is killed outright, so that no rank is left to make it.

The first rank to end of those that a launcher of its own has started leaves this process behind,
which imports no torch. It waits until no rank runs any more, and reports if none of them has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from graphlab.ranks.folder import RunFolder

# Seconds between two looks, and how long the last rank may take from its end to the claim.
LOOK, GRACE = 0.2, 2.0
_HOME = str(Path(__file__).resolve().parents[2])


def leave_behind(folder: RunFolder, words: Sequence[str]) -> None:
    """Start the process, unless another rank has. `words`: the options of the report."""
    if not folder.claim("survivor"):
        return
    paths = [each for each in (os.environ.get("PYTHONPATH"), _HOME) if each]
    command = [sys.executable, "-m", "graphlab.ranks.survivor", str(folder.path), *words]
    subprocess.Popen(
        command,
        # A rank no longer, or the report would wait for the others.
        env={**_without_rank(os.environ), "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _without_rank(environ: os._Environ[str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in ("RANK", "WORLD_SIZE")}


def main(words: list[str]) -> int:
    folder = RunFolder(Path(words[0]), False)
    quiet_since: float | None = None
    while folder.path.is_dir() and not folder.claimed():
        if folder.any_alive():
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > GRACE and folder.claim():
            command = [sys.executable, "-m", "graphlab", "run", "--from", words[0], *words[1:]]
            code = subprocess.run(command, check=False).returncode
            folder.remove()
            return code
        time.sleep(LOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

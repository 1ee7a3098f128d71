"""Runs the other ranks of a loop while this process is its first one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# Seconds that the others have to end once the first has.
PATIENCE = 20
_HOME = str(Path(__file__).resolve().parents[2])


@contextlib.contextmanager
def other_ranks(path: str, arguments: Sequence[str], ranks: int) -> Iterator[None]:
    """While the block runs, this process is rank 0 of `ranks`, and as many others but one run the
    script at `path` by themselves. Nothing for one rank."""
    if ranks == 1:
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
    paths = [each for each in (os.environ.get("PYTHONPATH"), _HOME) if each]
    started: list[subprocess.Popen[bytes]] = []
    before = dict(os.environ)
    try:
        for rank in range(1, ranks):
            environ = {
                **before, **group, "RANK": str(rank), "LOCAL_RANK": str(rank),
                "PYTHONPATH": os.pathsep.join(paths),
            }  # fmt: skip
            command = [sys.executable, path, *arguments]
            quiet = subprocess.DEVNULL
            started.append(subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet))
        os.environ.update({**group, "RANK": "0", "LOCAL_RANK": "0"})
        yield
    finally:
        for name in (*group, "RANK", "LOCAL_RANK"):
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)
        for each in started:
            try:
                each.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()

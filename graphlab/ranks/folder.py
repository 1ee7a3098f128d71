"""The folder in which the ranks of one machine leave their traces for whoever reports on them.

No rank waits for another. Each writes its trace and then looks whether all others have written
theirs or are gone: the one that finds so first reports.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from graphlab.observe.distributed.placement import Placement
from graphlab.output import files
from graphlab.trace import store
from graphlab.trace.model import Trace

# Names the folder to the ranks, where graphlab itself has launched them and will report.
VARIABLE = "GRAPHLAB_RANKS"
_TRACE = re.compile(r"rank-(\d+)\.json")


class RunFolder:
    """`launched`: graphlab has started the ranks, and reports when all have ended."""

    def __init__(self, path: Path, launched: bool) -> None:
        self.path, self.launched = path, launched

    def register(self, place: Placement) -> None:
        """Note that this rank runs, in this process."""
        pid = os.getpid()
        files.write(str(self.path / f"pid-{place.rank}"), f"{pid} {_started(pid)}")

    def write(self, place: Placement, trace: Trace) -> None:
        """Leave the rank's trace; complete, or not at all."""
        files.write(str(self.path / trace_name(place.rank)), store.dumps(trace))

    def is_last(self, place: Placement, all_started: bool) -> bool:
        """Whether no other rank will write any more. Without `all_started`, ranks that have not
        registered yet are waited for."""
        others = [each for each in self._running() if each[0] != place.rank]
        if not all_started and len(others) + 1 < place.local_world:
            return False
        written = set(traces_in(self.path))
        return all(rank in written or not alive for rank, alive in others)

    def claim(self, what: str = "reported") -> bool:
        """Whether it is this process that reports, or does `what`: true for one only."""
        try:
            os.close(os.open(self.path / what, os.O_CREAT | os.O_EXCL))
        except OSError:
            return False
        return True

    def claimed(self) -> bool:
        """Whether a process reports, or has."""
        return (self.path / "reported").exists()

    def any_alive(self) -> bool:
        """Whether one of the ranks that have registered still runs."""
        return any(alive for _, alive in self._running())

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _running(self) -> Iterator[tuple[int, bool]]:
        """The ranks that have registered, and whether each still runs."""
        for each in self.path.glob("pid-*"):
            with contextlib.suppress(OSError, ValueError):
                pid, _, began = each.read_text().partition(" ")
                alive = _alive(int(pid)) and _started(int(pid)) == began
                yield int(each.name.removeprefix("pid-")), alive


def trace_name(rank: int) -> str:
    """The name of a rank's file in a folder of traces."""
    return f"rank-{rank}.json"


def traces_in(path: Path) -> dict[int, Path]:
    """The traces in a folder by their rank, in its order."""
    found = {int(name[1]): each for each in path.iterdir() if (name := _TRACE.fullmatch(each.name))}
    return dict(sorted(found.items()))


def new_folder(within: Path | None = None) -> RunFolder:
    """An empty one, for ranks that graphlab launches."""
    return RunFolder(Path(tempfile.mkdtemp(prefix="graphlab-ranks-", dir=within)), True)


def folder_of_ranks() -> RunFolder:
    """The one that all ranks of this machine which one launcher has started share.

    Raises:
        OSError: when it cannot be made, or is somebody else's.
    """
    named = os.environ.get(VARIABLE)
    if named and os.path.isdir(named):
        return RunFolder(Path(named), True)
    parent = os.getppid()
    words = (
        str(os.getuid()) if hasattr(os, "getuid") else "",
        str(parent),
        _started(parent),
        os.environ.get("MASTER_PORT", ""),
        os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )
    name = "-".join(re.sub(r"\W", "", each) for each in words)
    path = Path(tempfile.gettempdir()) / f"graphlab-ranks-{name}"
    path.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and path.lstat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    return RunFolder(path, False)


def _stat(pid: int) -> list[str]:
    """What Linux tells of a process after its name; elsewhere nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _started(pid: int) -> str:
    """When a process began, so that a number that is used again is told apart."""
    found = _stat(pid)
    return found[19] if len(found) > 19 else ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    # It has ended, and its parent has not asked how.
    return _stat(pid)[:1] not in (["Z"], ["X"])

"""Starts torch.distributed.run with a graphlab in each rank, and says how others are to do so."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.ranks.folder import VARIABLE, RunFolder

LAUNCHER = "torch.distributed.run"
# Programs and modules that start ranks themselves.
_PROGRAMS = ("torchrun", "accelerate", "deepspeed")
_MODULES = (LAUNCHER, "torch.distributed.launch", "accelerate.commands.launch")
# After Ctrl-C the launcher first ends its ranks, for which it allows 30 seconds.
PATIENCE = 40


def launch(folder: RunFolder, ranks: int, words: Sequence[str]) -> int:
    """Run ``graphlab run WORDS`` in each of `ranks` processes; returns the launcher's exit code."""
    command = [
        sys.executable, "-m", LAUNCHER, "--standalone", "--nproc-per-node", str(ranks),
        "-m", "graphlab", "run", *words,
    ]  # fmt: skip
    environ = {**os.environ, VARIABLE: str(folder.path)}
    # Its warning that it sets this to 1 is not the program's.
    environ.setdefault("OMP_NUM_THREADS", "1")
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if home in map(os.path.abspath, sys.path) and not home.endswith("site-packages"):
        # A checkout that is not installed: the ranks must find it as this process did.
        paths = [each for each in (environ.get("PYTHONPATH"),) if each]
        environ["PYTHONPATH"] = os.pathsep.join((*paths, home))
    with subprocess.Popen(command, env=environ) as process, _handing_on(process) as sent:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # It has had the signal too, and ends its ranks.
            code = _ended(process)
    code = -signal.SIGTERM if sent else code
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Let the launcher have a SIGTERM that this process alone is sent, as a job's time limit sends
    it: it ends its ranks. Yields the signals handed on."""
    sent: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        sent.append(number)
        process.terminate()

    if threading.current_thread() is not threading.main_thread():
        yield sent
        return
    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        yield sent
    finally:
        signal.signal(signal.SIGTERM, before)


def _ended(process: subprocess.Popen[bytes]) -> int:
    for ask in (None, process.terminate, process.kill):
        if ask is not None:
            ask()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            process.wait(PATIENCE if ask is None else 5)
            break
    process.poll()
    return -signal.SIGINT


def launched_by() -> str:
    """The command that started the ranks, up to ``-m graphlab``, as one would type it; "…" where it
    is not known. On Linux, the parent process tells."""
    try:
        words = Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\0")[:-1]
        end = words.index("graphlab")
    except (OSError, ValueError):
        return "…"
    # Of ``python /usr/bin/torchrun`` the script alone was typed.
    names = [os.path.basename(each) for each in words]
    if len(words) > 1 and names[1] in _PROGRAMS:
        return shlex.join([names[1], *words[2 : end - 1]])
    if words[1:2] == ["-m"] and words[2] in _MODULES:
        return shlex.join(["python", *words[1 : end - 1]])
    return "…"


def refuse_launcher(target: str, arguments: Sequence[str], is_module: bool) -> None:
    """Refuse to observe a program that starts the ranks: graphlab belongs inside each.

    Raises:
        UserError: with the command that does that.
    """
    name = os.path.basename(target)
    if not (name in _PROGRAMS if not is_module else target in _MODULES):
        return
    command = ["python", "-m", target] if is_module else [name]
    at = next((at for at, word in enumerate(arguments) if _begins_program(word)), None)
    if at is None:
        words = [*command, *arguments, "-m", "graphlab", "run", "train.py"]
    else:
        words = [*command, *arguments[:at], "-m", "graphlab", "run", *arguments[at:]]
    raise UserError(message("usage.launcher", name=name), shlex.join(words))


def _begins_program(word: str) -> bool:
    return word == "-m" or word.endswith(".py")

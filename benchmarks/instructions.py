"""What watching costs in instructions, where the machine itself counts none: by Valgrind.

    python benchmarks/instructions.py tiny pyrl [--from 300] [--count 61] [--watchers graphlab]
    python benchmarks/instructions.py tiny --watchers graphlab no-alarm     what the alarm costs
    python benchmarks/instructions.py dcgan --from 20 --count 8 --batch 2   what is added to a batch

Runs each loop under Valgrind's callgrind, which counts every instruction of the process, bare and
watched, and prints the ratio of `--count` iterations from the number `--from` on, and how many more
there are in one; `--from 0` is what learning costs. A figure repeats to a thousandth, however busy
the machine is, and takes minutes. Valgrind and its `callgrind_control` must be installed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLLECTED = re.compile(r"Collected : (\d+)")


def counted(loop: str, watcher: str, start: int, count: int, batch: int) -> int:
    """Instructions of `count` iterations, from the number `start` on."""
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--cache-sim=no"]
    child = [sys.executable, __file__, "--child", loop, watcher, str(start), str(count)]
    child.append(str(batch))
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/out"
        done = subprocess.run(
            [*valgrind, out, *child],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
        )
    found = COLLECTED.findall(done.stderr)
    if done.returncode or not found:
        sys.exit(f"{loop}, {watcher}: {done.stderr[-2000:]}")
    return int(found[-1])


def child(loop: str, name: str, start: int, count: int, batch: int) -> None:
    import busy_loops
    import loops
    import torch
    from overhead import watcher

    torch.set_num_threads(1)
    loops.BATCH = batch
    train = (getattr(loops, loop, None) or getattr(busy_loops, loop))()

    def switch(state: str) -> None:
        control = ["callgrind_control", f"--instr={state}", str(os.getpid())]
        subprocess.run(control, check=True, stdout=subprocess.DEVNULL)

    def iterations() -> Iterator[int]:
        for number in range(start + count + 1):
            if number == start:
                switch("on")
            if number == start + count:
                switch("off")
            yield number

    with watcher(name):
        train(iterations())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loops", nargs="+")
    parser.add_argument("--from", dest="start", type=int, default=300)
    parser.add_argument("--count", type=int, default=61)
    parser.add_argument("--batch", type=int, default=0, help="of dcgan and transformer")
    parser.add_argument("--watchers", nargs="+", default=["graphlab"])
    arguments = parser.parse_args()
    missing = [each for each in ("valgrind", "callgrind_control") if shutil.which(each) is None]
    if missing:
        sys.exit(f"{missing[0]} is not installed")
    for loop in arguments.loops:
        window = arguments.start, arguments.count, arguments.batch
        bare = counted(loop, "bare", *window)
        text = f"{loop}: {bare / arguments.count / 1e6:.2f} million an iteration, bare"
        for name in arguments.watchers:
            watched = counted(loop, name, *window)
            more = (watched - bare) / arguments.count / 1e6
            text += f"; {name} {watched / bare:.3f}, {more:.2f} million more"
        print(text, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
    else:
        main()

"""What it costs to watch two ranks, in CPU time a step, beside what it costs to watch one process.

    python benchmarks/ranks.py [--rounds 3]

A small regression, in one process and under DistributedDataParallel on two, each of them bare and
watched in turn. A rank counts its own CPU time over the same steps, of all its threads; waiting
costs none. The median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The first steps are looked at more closely, as they are in any training.
WARM, STEPS = 300, 600
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
RUNS = {
    "one process, bare": (__file__, "--loop"),
    "one process, watched": ("-m", "graphlab", "run", __file__, "--", "--loop"),
    "two ranks, bare": (*LAUNCH, __file__, "--loop"),
    "two ranks, watched": ("-m", "graphlab", "run", "--nproc", "2", __file__, "--", "--loop"),
}


def loop() -> None:
    """Train, and print this rank's microseconds of CPU time a step."""
    import torch

    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(0)
    net: torch.nn.Module = torch.nn.Sequential(
        torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    )
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
        net = torch.nn.parallel.DistributedDataParallel(net)
        torch.manual_seed(torch.distributed.get_rank())
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    began = 0.0
    for step in range(WARM + STEPS):
        if step == WARM:
            began = time.process_time()
        x = torch.randn(32, 32)
        loss = (net(x) - x.sum(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"cpu {1e6 * (time.process_time() - began) / STEPS:.1f}", flush=True)
    if ranks > 1:
        torch.distributed.destroy_process_group()


def once(words: tuple[str, ...]) -> float:
    """The mean over the ranks."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], env=environ, capture_output=True, text=True, check=True
    )
    return statistics.mean(map(float, re.findall(r"cpu ([\d.]+)", done.stdout + done.stderr)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.loop:
        loop()
        return
    seen: dict[str, list[float]] = {name: [] for name in RUNS}
    for _ in range(asked.rounds):
        for name, words in RUNS.items():
            seen[name].append(once(words))
    found = {name: statistics.median(each) for name, each in seen.items()}
    for where in ("one process", "two ranks"):
        bare, watched = found[f"{where}, bare"], found[f"{where}, watched"]
        print(
            f"{where:12} bare {bare:7.0f} us  watched {watched:7.0f} us"
            f"  {watched / bare:.2f} times  +{watched - bare:.0f} us"
        )


if __name__ == "__main__":
    main()

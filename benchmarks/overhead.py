"""What watching costs: ratios to the bare loop, all sides in one run, medians.

    python benchmarks/overhead.py [--rounds 5] [--loops tiny pyrl] [--watchers graphlab] [--json F]

Each round runs every watcher once, in turn, on a loop that is built anew; ratios are taken within
the round. *First* is the first iterations of a new session, in a process that has watched before;
*settled* is later, after a warm-up in the same session; each loop's heading says how many. CPU
time is that of the process, on one thread of torch's. Instructions are those of user space, where
the machine counts them (perf_event_open). *Scripts* are processes from start to end. With
`--device cuda` the loops train on a GPU, and the time that passes until it is done is read too.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from counters import Counters

HERE = Path(__file__).resolve().parent
NAIVE = HERE.parent / "scenarios" / "softmaxgan" / "naive.py"
WATCHERS = ("graphlab", "no-alarm", "install", "anomaly", "anomaly-nan")
SCRIPTS = {
    "short.py": (
        [str(HERE / "short.py")],
        {"graphlab run": ["-m", "graphlab", "run", str(HERE / "short.py")]},
    ),
    "naive.py, which raises": (
        [str(NAIVE)],
        {"graphlab run --explain": ["-m", "graphlab", "run", str(NAIVE), "--explain"]},
    ),
}

# The loops that know of a device.
ON_DEVICE = ("tiny", "dcgan", "transformer")
NAMES = {"clock": " of the clock", "cpu": " of CPU", "instructions": " of instructions"}

Costs = dict[str, float]
Ratios = dict[str, dict[str, list[float]]]


class Lengths(NamedTuple):
    """Iterations: the first of a session, those that pass unmeasured, those measured after."""

    first: int
    warm: int
    settled: int


SMALL = Lengths(200, 300, 200)
MIDDLE = Lengths(50, 50, 50)
LARGE = Lengths(10, 10, 10)
LENGTHS = {
    "tiny": SMALL,
    "dcgan": LARGE,
    "transformer": Lengths(4, 4, 4),
    "lstm": LARGE,
    "gnn": SMALL,
    "gpt": Lengths(200, 100, 100),
    "ppo": MIDDLE,
    "pyrl": SMALL,
    "pydata": SMALL,
    "pysearch": Lengths(200, 100, 50),
    "parameters_1000": LARGE,
    "listed_1000": LARGE,
    "parameters_5000": Lengths(6, 6, 6),
    "modules_1000": MIDDLE,
}


def watcher(name: str) -> contextlib.AbstractContextManager[Any]:
    import torch

    import graphlab
    from graphlab.observe.numbers.watch import NumberWatch

    @contextlib.contextmanager
    def installed() -> Iterator[None]:
        hooks = graphlab.install()
        yield
        hooks.uninstall()

    @contextlib.contextmanager
    def no_alarm() -> Iterator[None]:
        """graphlab without its look for numbers that are not finite."""
        parts = {each: vars(NumberWatch)[each] for each in ("begins", "_on_step", "_on_stepped")}
        for each in parts:
            setattr(NumberWatch, each, lambda *given: None)
        try:
            with graphlab.watch():
                yield
        finally:
            for each, part in parts.items():
                setattr(NumberWatch, each, part)

    ways: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
        "bare": contextlib.nullcontext,
        "graphlab": graphlab.watch,
        "no-alarm": no_alarm,
        "install": installed,
        "anomaly": lambda: torch.autograd.detect_anomaly(check_nan=False),
        "anomaly-nan": lambda: torch.autograd.detect_anomaly(check_nan=True),
    }
    return ways[name]()


def one_run(make: Any, lengths: Lengths, name: str, counters: Counters) -> dict[str, Costs]:
    """The costs of `first` and `settled` in one session."""
    readings: list[Costs] = []

    def stretches() -> Iterator[range]:
        for length in lengths:
            readings.append(counters.read())
            yield range(length)
        readings.append(counters.read())

    gc.collect()
    with watcher(name):
        # One loop runs through: it is the same `for` to a watcher, and no line of this file runs
        # between two iterations of it.
        make()(itertools.chain.from_iterable(stretches()))
    begin, learned, warm, end = readings
    return {
        "first": {key: learned[key] - begin[key] for key in begin},
        "settled": {key: end[key] - warm[key] for key in begin},
    }


def measure_loop(
    name: str, lengths: Lengths, watchers: list[str], rounds: int, counters: Counters
) -> dict[str, Any]:
    import busy_loops
    import loops

    make = getattr(loops, name, None) or getattr(busy_loops, name)
    ratios: dict[str, Ratios] = {each: {} for each in watchers}
    bare_costs: list[Costs] = []
    for _ in range(rounds):
        bare = one_run(make, lengths, "bare", counters)
        bare_costs.append(bare["settled"])
        for each in watchers:
            for stage, costs in one_run(make, lengths, each, counters).items():
                for key, cost in costs.items():
                    all_of = ratios[each].setdefault(key, {}).setdefault(stage, [])
                    all_of.append(cost / bare[stage][key])
    step = {
        key: statistics.median(each[key] for each in bare_costs) / lengths.settled
        for key in bare_costs[0]
    }
    return {
        "about": make.__doc__,
        "lengths": lengths._asdict(),
        "bare_step": step,
        "ratios": ratios,
    }


def measure_script(name: str, rounds: int, counters: Counters) -> dict[str, Any]:
    bare_arguments, watched = SCRIPTS[name]
    bare_costs: list[Costs] = []
    extra: dict[str, list[Costs]] = {each: [] for each in watched}
    for arguments in (bare_arguments, *watched.values()):
        one_process(arguments, counters)
    for _ in range(rounds):
        bare = one_process(bare_arguments, counters)
        bare_costs.append(bare)
        for each, arguments in watched.items():
            costs = one_process(arguments, counters)
            extra[each].append({key: costs[key] - bare[key] for key in bare})
    return {"bare": bare_costs, "extra": extra}


def one_process(arguments: list[str], counters: Counters) -> Costs:
    # As a user's Python, which keeps what it has compiled. In a folder without a graphlab, which
    # `-m` would take instead of the one that is measured.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = counters.read_children()
    subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=False, env=kept, cwd=HERE
    )
    after = counters.read_children()
    return {key: after[key] - before[key] for key in before}


def print_loop(name: str, measured: dict[str, Any]) -> None:
    first, warm, settled = measured["lengths"].values()
    step = measured["bare_step"]
    line = f"bare {step['cpu'] * 1e3:.2f} ms of CPU"
    if "clock" in step:
        line = f"bare {step['clock'] * 1e3:.2f} ms by the clock, {line[5:]}"
    if "instructions" in step:
        line += f", {step['instructions'] / 1e6:.1f} million instructions"
    print(f"\n{name}: {measured['about']}")
    print(f"  {line} an iteration; first {first}, then {warm} to warm up, settled {settled}")
    for each, costs in measured["ratios"].items():
        cells = []
        for key, stages in costs.items():
            for stage, values in stages.items():
                low, middle, high = min(values), statistics.median(values), max(values)
                cells.append(f"{stage} {middle:6.2f} ({low:.2f}–{high:.2f})")
            cells[-1] += NAMES[key]
        for at in range(0, len(cells), 2):
            print(f"  {'' if at else each:<12}" + "".join(f"{c:<30}" for c in cells[at : at + 2]))


def print_script(name: str, measured: dict[str, Any]) -> None:
    print(f"\n{name}: {_seconds(measured['bare'])} bare")
    for each, costs in measured["extra"].items():
        print(f"  {each:<24} {_seconds(costs)} more")


def _seconds(costs: list[Costs]) -> str:
    text = f"{statistics.median(each['cpu'] for each in costs):.2f} s of CPU"
    if "instructions" in costs[0]:
        median = statistics.median(each["instructions"] for each in costs)
        text += f", {median / 1e9:.2f} billion instructions"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loops", nargs="*", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--scripts", nargs="*", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--watchers", nargs="+", choices=WATCHERS, default=list(WATCHERS))
    parser.add_argument("--first", type=int, help="how many iterations are *first*, in every loop")
    parser.add_argument("--device", default="cpu", help=f"cpu or cuda; of {', '.join(ON_DEVICE)}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.device != "cpu" and not set(options.loops) <= set(ON_DEVICE):
        parser.error(f"--device is for --loops {' '.join(ON_DEVICE)}")
    # Before torch is imported, so that its threads are counted.
    counters = Counters()
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Anomaly Detection")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, medians of rounds")
    if counters.why:
        print(f"instructions are not counted here: {counters.why}")
    results: dict[str, Any] = {"python": platform.python_version(), "torch": torch.__version__}
    results |= {"loops": {}, "scripts": {}}
    if options.loops:
        # What a first session imports is part of the scripts' cost, not of a loop's.
        import loops

        loops.DEVICE = options.device
        if options.device != "cpu":
            counters.wait_for = torch.cuda.synchronize
        for name in options.watchers:
            one_run(loops.tiny, Lengths(5, 5, 5), name, counters)
    for name in options.loops:
        lengths = LENGTHS[name]
        if options.first:
            lengths = lengths._replace(first=options.first)
        found = measure_loop(name, lengths, options.watchers, options.rounds, counters)
        results["loops"][name] = found
        print_loop(name, found)
    for name in options.scripts:
        found = measure_script(name, options.rounds, counters)
        results["scripts"][name] = found
        print_script(name, found)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

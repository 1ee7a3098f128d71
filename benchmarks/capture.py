"""What `graphlab.render(loss, level="op").dot` takes, beside torchviz, all in one run, medians.

    python benchmarks/capture.py [--rounds 31] [--chain 1000000]

Each round calls every way once, in turn, on the same graph, and counts CPU time. graphlab's text
has every node's shape, names and saved tensors; torchviz's has names, and saved tensors with
`show_saved`. The last two columns are torchviz's times as multiples of graphlab's, without and with
saved tensors. The second table is the same inside `graphlab.watch()`, which traces torchviz too.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import graphs
import torchviz

import graphlab

GRAPHS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "MLP, 13 layers": graphs.mlp,
    "ResNet-50-like": graphs.resnet,
    "transformer encoder, 6 layers": graphs.transformer,
}


def compare(name: str, make: Callable[[], tuple[Any, Any]], rounds: int) -> None:
    """Print the median of each way for one graph."""
    net, loss = make()
    params = dict(net.named_parameters())
    ways: dict[str, Callable[[], object]] = {
        "graphlab": lambda: graphlab.render(loss, level="op").dot,
        "torchviz": lambda: torchviz.make_dot(loss, params=params).source,
        "with saved": lambda: torchviz.make_dot(loss, params=params, show_saved=True).source,
        "level module": lambda: graphlab.render(loss, level="module").dot,
        "overview": lambda: graphlab.render(loss).dot,
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, call in ways.items():
            begin = time.process_time()
            call()
            times[way].append(time.process_time() - begin)
    median = {way: statistics.median(each) * 1000 for way, each in times.items()}
    nodes = len(graphlab.render(loss, level="op").graph)
    print(
        f"{name:<30}{nodes:>6}"
        + "".join(f"{each:>13.2f}" for each in median.values())
        + "".join(f"{median[way] / median['graphlab']:>8.2f}" for way in ("torchviz", "with saved"))
    )


def chain(nodes: int) -> None:
    """Print what a chain takes, which is too deep for torchviz."""
    loss = graphs.chain(nodes)
    wall, begin = time.perf_counter(), time.process_time()
    figure = graphlab.render(loss, level="op")
    taken = time.process_time() - begin
    size = len(figure.dot)
    both, wall = time.process_time() - begin, time.perf_counter() - wall
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"a chain of {nodes:,} nodes: render {taken:.1f} s, .dot {both - taken:.1f} s of CPU time, "
        f"{wall:.1f} s in all; {size / 2**20:.0f} MiB of text, {most:.1f} GiB at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--chain", type=int, metavar="NODES", help="a chain as well")
    options = parser.parse_args()
    # torchviz uses distutils.
    warnings.simplefilter("ignore", DeprecationWarning)
    for session in (False, True):
        print("in a session, ms" if session else "ms")
        heads = ("graphlab", "torchviz", "with saved", "level module", "overview")
        print(
            f"{'':<30}{'nodes':>6}{''.join(f'{each:>13}' for each in heads)}"
            f"{'ratio':>8}{'saved':>8}"
        )
        for name, make in GRAPHS.items():
            with graphlab.watch() if session else contextlib.nullcontext():
                compare(name, make, options.rounds)
    if options.chain:
        chain(options.chain)


if __name__ == "__main__":
    main()

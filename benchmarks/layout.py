"""How long figures take to lay out with the bundled Graphviz, child process and all; medians.

    python benchmarks/layout.py [--rounds 3] [--dot]

The last rows are random graphs without any structure, the worst that a layout can meet, with the
time limit that `graphlab render` has. `--dot` takes the `dot` on PATH instead.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable

import graphs

from graphlab.observe.graph.capture import capture
from graphlab.trace.graph import Graph, Root
from graphlab.views.figure import layout
from graphlab.views.figure.picture import FigureOptions, source

LIMIT = 20.0


def scattered(nodes: int, edges: int, seed: int) -> Graph:
    """A random graph; every edge leads from a later node to an earlier one."""
    choose = random.Random(seed)
    inputs: list[set[int]] = [set() for _ in range(nodes)]
    for _ in range(edges):
        one, other = sorted(choose.sample(range(nodes), 2))
        inputs[one].add(other)
    sorted_inputs = tuple(tuple(sorted(each)) for each in inputs)
    return Graph(("MulBackward0",) * nodes, sorted_inputs, (Root("loss", 0),))


def measure(name: str, graph: Graph, look: FigureOptions, rounds: int, bundled: bool) -> None:
    tries: list[Callable[[], str]] = [
        lambda: source(graph, look),
        lambda: source(graph, look, cheap=True),
    ]
    taken = []
    outcome = ""
    for _ in range(rounds):
        begin = time.perf_counter()
        laid = layout.lay_out(tries, "svg", LIMIT, bundled)
        taken.append(time.perf_counter() - begin)
        outcome = "no picture" if laid.data is None else ("", " at the second try")[laid.attempt]
    print(f"{name:<44} {len(graph):>6} nodes {statistics.median(taken):7.2f} s{outcome}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dot", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    frame = sys._getframe()
    for name, loss, look in (
        ("ResNet-50-like, op", graphs.resnet()[1], FigureOptions("op")),
        ("transformer of 6 layers, op", graphs.transformer()[1], FigureOptions("op")),
        ("LSTM of 200 steps, op", graphs.lstm(), FigureOptions("op")),
        ("transformer of 12 layers, module", graphs.transformer(12)[1], FigureOptions("module")),
    ):
        measure(name, capture({"loss": loss}, frame), look, options.rounds, not options.dot)
    for seed in range(options.seeds):
        graph = scattered(400, 800, seed)
        measure(f"random, 800 edges, seed {seed}", graph, FigureOptions("op"), 1, not options.dot)


if __name__ == "__main__":
    main()

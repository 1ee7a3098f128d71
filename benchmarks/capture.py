"""What taking a graph costs, beside torchviz and beside a bare walk, all in one run, medians.

    python benchmarks/capture.py [--rounds 31] [--chains 1000 10000 100000 1000000]

Each round runs every way once, in turn, on the same graph. *walk + DOT* is the least that a
drawing needs: every node once, one line of text for it and one for each edge. *graphlab* is the
same figure, operations and edges, as graphlab makes it; *details* adds what torchviz's
`show_saved` shows and more: shapes, names, saved tensors and torch's verdict on each.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import graphs
import torchviz

from graphlab.observe.graph.capture import Capture, capture
from graphlab.trace.graph import Graph, Root
from graphlab.views.figure.colors import LIGHT, Palette
from graphlab.views.figure.dot import operations


def walk_and_text(loss: Any) -> str:
    index = {loss.grad_fn: 0}
    nodes = [loss.grad_fn]
    lines = []
    for at, node in enumerate(nodes):
        lines.append(f'\t{at} [label="{type(node).__name__}"]\n')
        for source, _ in node.next_functions:
            if source is not None:
                number = index.setdefault(source, len(nodes))
                if number == len(nodes):
                    nodes.append(source)
                lines.append(f"\t{number} -> {at}\n")
    return f"digraph {{\n{''.join(lines)}}}\n"


def structure(loss: Any) -> Graph:
    taken = Capture()
    graph = taken.graph((Root("loss", taken.add(loss.grad_fn)),))
    taken.hold([loss])
    return graph


def drawn(loss: Any) -> str:
    graph = structure(loss)
    return operations(graph, Palette(graph, "owner", LIGHT))


def detailed(loss: Any) -> str:
    graph = capture({"loss": loss}, sys._getframe())
    return operations(graph, Palette(graph, "owner", LIGHT))


def compare(name: str, loss: Any, rounds: int) -> None:
    ways: dict[str, Callable[[Any], Any]] = {
        "walk + DOT": walk_and_text,
        "graphlab": drawn,
        "torchviz": lambda loss: torchviz.make_dot(loss).source,
        "graphlab, details": detailed,
        "torchviz, show_saved": lambda loss: torchviz.make_dot(loss, show_saved=True).source,
    }
    count = len(structure(loss))
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, function in ways.items():
            begin = time.perf_counter()
            try:
                function(loss)
            except RecursionError:
                continue
            times[way].append(time.perf_counter() - begin)
    median = {way: statistics.median(each) / count * 1e6 for way, each in times.items() if each}
    print(f"{name}: {count} nodes, µs a node")
    for way in ways:
        if way not in median:
            print(f"  {way:<22} RecursionError")
            continue
        against = ""
        if way.startswith("graphlab"):
            other = "torchviz" if way == "graphlab" else "torchviz, show_saved"
            if other in median:
                against = f"   {median[other] / median[way]:.1f} times as fast as {other}"
            if way == "graphlab":
                against += f", {median[way] / median['walk + DOT']:.2f} of walk + DOT"
        print(f"  {way:<22} {median[way]:8.2f}{against}")


def grow(sizes: list[int]) -> None:
    print("chains: µs and bytes a node, capture alone and with DOT text")
    for size in sizes:
        loss = graphs.chain(size)
        taking, both = [], []
        for _ in range(3):
            begin = time.perf_counter()
            graph = structure(loss)
            middle = time.perf_counter()
            operations(graph, Palette(graph, "owner", LIGHT))
            taking.append(middle - begin)
            both.append(time.perf_counter() - begin)
        tracemalloc.start()
        taken = Capture()
        graph = taken.graph((Root("loss", taken.add(loss.grad_fn)),))
        peak = tracemalloc.get_traced_memory()[1]
        taken.hold([loss])
        del taken
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        print(
            f"  {size:>9,} nodes {min(taking) / size * 1e6:7.2f} {min(both) / size * 1e6:7.2f}"
            f"   kept {kept / size:.0f}, peak {peak / size:.0f} bytes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--chains", type=int, nargs="*", default=[1000, 10**4, 10**5, 10**6])
    options = parser.parse_args()
    for name, make in graphs.GRAPHS.items():
        compare(name, make(), options.rounds)
    compare("chain", graphs.chain(900), options.rounds)
    grow(options.chains)


if __name__ == "__main__":
    main()

"""Compares the buffers of wrapped modules that are not broadcast."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import BuffersApart, BufferWrite, OwnBuffer


def buffers_apart(joint: Joint) -> Iterator[BuffersApart]:
    """Of each module with statistics that the ranks gather on their own, and then compute with."""
    seen: dict[str, dict[int, OwnBuffer]] = defaultdict(dict)
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, OwnBuffer):
                beside = trace.tensors[each.beside].name if each.beside is not None else ""
                seen[_name(each, beside or "")].setdefault(rank, each)
    modules: dict[str, dict[str, list[OwnBuffer]]] = defaultdict(dict)
    for name, ranks in seen.items():
        if len(ranks) == len(joint.traces):
            modules[name.rpartition(".")[0]][name] = [*ranks.values()]
    for buffers in modules.values():
        apart = {name: rows[0] for name, rows in buffers.items() if _parted(rows)}
        alike = {name.rpartition(".")[2] for name in buffers if name not in apart}
        growing = {name.rpartition(".")[2] for name, each in apart.items() if each.grows}
        for name, each in apart.items():
            write = next((write for write in each.writes if _from_data(write, alike)), None)
            if each.used is None or write is None or not (each.grows or growing & {*write.reads}):
                continue
            yield BuffersApart(
                each.at, name, len(apart) - 1, write.at, write.by, each.used, each.several,
                each.beside is None,
            )  # fmt: skip
            break


def _name(buffer: OwnBuffer, beside: str) -> str:
    """As the program would call it, as it calls a parameter of the same module."""
    if buffer.beside is None:
        return buffer.path
    before = beside.removesuffix(buffer.beside_path)
    return f"{before if before != beside else ''}{buffer.path}"


def _parted(rows: list[OwnBuffer]) -> bool:
    """Whether the ranks began with the same values, and have others after one of the steps."""
    values = [dict(each.values) for each in rows]
    steps = set(values[0]).intersection(*values[1:])
    unlike = {step for step in steps if len({each[step] for each in values}) > 1}
    return bool(unlike) and 0 in steps - unlike


def _from_data(write: BufferWrite, alike: set[str]) -> bool:
    """Whether a write may differ between the ranks: not one of what is the same on all."""
    return write.data or not {*write.reads} <= alike

"""Compares the modules that DistributedDataParallel refused to wrap."""

from __future__ import annotations

from graphlab.language import message
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.models import ModulesDiffer, RefusedModule


def modules_differ(joint: Joint) -> ModulesDiffer | None:
    """The parameters that are not the same on all ranks, if the same call refused on each."""
    found: dict[int, RefusedModule] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, RefusedModule):
                found[rank] = each
    if len(found) < joint.world or len({each.at for each in found.values()}) > 1:
        return None
    tables = {rank: dict(each.parameters) for rank, each in found.items()}
    names = list(dict.fromkeys(name for table in tables.values() for name in table))
    differing = [name for name in names if len({table.get(name) for table in tables.values()}) > 1]
    if not differing:
        return None
    name = differing[0]
    froze = tuple(rank for rank, each in found.items() if name in each.frozen)
    first = found[froze[0]] if froze else next(iter(found.values()))
    differs = tuple(
        message("ranks.of_rank", rank=rank, text=_what(found[rank], table.get(name), name))
        for rank, table in tables.items()
    )
    alike = len({table[name] for table in tables.values() if name in table}) == 1
    return ModulesDiffer(
        first.at, first.call, name, len(differing), differs,
        froze if alike else (), first.froze if froze else None, first.froze_by,
    )  # fmt: skip


def _what(module: RefusedModule, shape: tuple[int, ...] | None, name: str) -> str:
    if shape is not None:
        return message("ranks.gl316.shape", shape=[*map(str, shape)])
    return message("ranks.gl316.frozen" if name in module.frozen else "ranks.gl316.none")

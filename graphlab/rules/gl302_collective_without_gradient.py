"""What a collective brought went into a loss, and carries no gradient or a wrong one."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.sightings import WithoutGradient


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, WithoutGradient):
            continue
        name = each.tensor or "a tensor"
        if each.overwrote:
            said = (
                f"{each.call} overwrites {name} past autograd: its value is that of all ranks, and "
                f"{each.backward} computes its gradient from this rank alone"
            )
        else:
            said = (
                f"{each.call} brings {name} of the other ranks without its graph: "
                f"{each.backward} sends nothing back to them"
            )
        mended = f"torch.distributed.nn.functional.{each.operation}"
        yield Finding(
            *RULE.label,
            summary=said,
            tensor=Versions(TensorInfo(name, "activation", (), ""), None, None),
            cause=Place(each.at, each.call),
            failed=Place(each.backward_at, each.backward),
            help=(Help(f"Use {mended}(…), which returns a new tensor with a graph."),),
        )


RULE = Rule("GL302", "collective-without-gradient", "warning", check)

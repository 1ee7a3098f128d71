"""A sharded parameter was used outside the forward that gathers it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.sightings import FULLY_SHARD, PastTheWrapper


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, PastTheWrapper):
            continue
        name = each.tensor or "a parameter"
        failure = trace.exception
        called = f": {each.called} goes past that" if each.called else ""
        if each.kind == FULLY_SHARD:
            help = (
                "Call the module itself, and let its forward do this; or name the method with "
                "torch.distributed.fsdp.register_fsdp_forward_method; or call unshard() before "
                "and reshard() after."
            )
        else:
            help = (
                "Call the wrapper itself, and let the module's forward do this; or compute it "
                "under FullyShardedDataParallel.summon_full_params."
            )
        yield Finding(
            *RULE.label,
            summary=f"{name} is a shard here: {each.kind} gathers the whole parameter for the "
            f"forward of its module alone{called}",
            iteration=failure.iteration if failure is not None else None,
            tensor=Versions(TensorInfo(name, "parameter", (), ""), None, None),
            cause=Place(each.cause, each.called or name),
            failed=Place(each.at, name),
            help=(Help(help),),
        )


RULE = Rule("GL307", "past-the-wrapper", "error", check)

"""An optimizer stepped on gradients that were not averaged over the ranks."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.wrapped import forward_again, outside_no_sync, through_the_wrapper
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.text import plural
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import DDP, NotAveraged, Source


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, NotAveraged):
            continue
        name = trace.optimizers[each.optimizer].name
        source = each.source
        why, help = _why(source, name)
        others = len(each.tensors) - 1
        call = source.call or "the backward"
        more = f" (and {plural(others, 'other parameter')})" if others else ""
        tensor = trace.tensors[each.tensors[0]].name or "a parameter"
        line = f" in line {source.at.line}" if source.at is not None else ""
        yield Finding(
            *RULE.label,
            summary=f"the gradient of {tensor}{more} from {call}{line} "
            f"was not averaged over the ranks: {why}; {name}.step() applies each rank's own, and "
            "the ranks train different models",
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]),
            cause=Place(source.cause or source.at, source.cause_by or source.call),
            failed=Place(each.at, f"{name}.step()"),
            help=(_repair(trace, each) or Help(help),),
            ranks=each.ranks,
        )


def _repair(trace: Trace, each: NotAveraged) -> Help | None:
    source = each.source
    if source.why == "around" and source.cause is not None:
        return through_the_wrapper(trace, source.cause)
    if source.why == "no-sync" and source.at is not None and each.at is not None:
        return outside_no_sync(trace, source.at, each.at)
    if source.why == "used-up" and source.at is not None and source.before is not None:
        owner = trace.tensors[each.tensors[0]].owner
        done = f"the backward of line {source.before.line}"
        return forward_again(trace, owner, source.before, source.at, done) if owner else None
    return None


def _why(source: Source, name: str) -> tuple[str, str]:
    by = source.cause_by
    if source.why == "around":
        return (
            f"{by} went past the wrapper, whose own forward prepares the averaging",
            "Call the wrapper itself, and not its .module.",
        )
    if source.why == "used-up":
        return (
            "DistributedDataParallel averages once for each forward through it, and an earlier "
            "backward had used that up",
            f"Run the forward again, through the wrapper, for {source.call}; or give the first "
            "backward a detached tensor, so that it does not reach these parameters.",
        )
    if source.why == "no-sync":
        return (
            f"{by} ran under no_sync(), and no backward after it averaged them",
            f"Let the last forward and backward before {name}.step() run outside of no_sync().",
        )
    if source.why == "unknown":
        return (
            "the wrapper does not know the parameter, as it was added or unfrozen after that was "
            "built",
            "Build DistributedDataParallel when the module is complete.",
        )
    if source.why == "twice":
        return (
            f"{by} is the second reentrant checkpoint that uses it, each has a backward of its own,"
            " and DistributedDataParallel averages after the first",
            "Pass use_reentrant=False to checkpoint.",
        )
    if source.why == "by-hand":
        return (
            f"other gradients of {name} are, by all_reduce, and this one is not",
            f"All_reduce the gradient of every parameter of {name}, or wrap the model in {DDP}.",
        )
    if source.why == "grad":
        return (
            "torch.autograd.grad goes past the wrapper's hooks",
            "Use backward(), or all_reduce the gradients before the step.",
        )
    return (
        "they differ between the ranks after it",
        "Let each backward be that of a forward through the wrapper.",
    )


RULE = Rule("GL301", "gradients-not-averaged", "warning", check)

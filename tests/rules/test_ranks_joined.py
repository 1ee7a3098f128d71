"""Calls that other ranks have passed, or that those which are done do not answer; by hand."""

from __future__ import annotations

from dataclasses import replace

from graphlab.rules.registry import find
from graphlab.rules.repair.ranks.collectives import gathered_in_the_graph
from graphlab.trace.ranks.sightings import Exchange, Parted, Turns
from tests.rules.build import Script
from tests.rules.test_ranks_order import cause, rank, told

JOINED = Script(
    """\
with model.join():
    for x in loader:
        y = model(x)
        loss.backward()
        all_reduce(shown)
"""
)


def test_a_call_that_a_rank_which_is_done_does_not_answer() -> None:
    inside, passed, shown, shadow = (
        Exchange(operation, count, None, (JOINED.at(line),))
        for operation, count, line in (
            ("all_reduce", 1, "y = model(x)"),
            ("backward", 0, "loss.backward()"),
            ("all_reduce", 1, "all_reduce(shown)"),
            ("all_reduce", 2, "with model.join():"),
        )
    )
    ranks = [
        rank(shadow, inside, passed, shown, shadow),
        rank(shadow, inside, passed, shown, passed),
    ]
    ranks = [replace(each, sources=JOINED.trace().sources) for each in ranks]
    (finding,) = told(*ranks)
    assert (finding.code, cause(finding)) == ("GL304", "all_reduce(shown)")
    assert "answers for what the wrapper communicates alone" in finding.summary


SAVED = Script(
    """\
for epoch in range(3):
    for x in loader:
        loss.backward()
    if rank == 0:
        barrier()
"""
)


def test_a_call_that_others_passed_in_the_turn_before() -> None:
    """They wait in a line further up, in a later turn of the loop around both."""
    passed, alone = (
        Exchange(operation, 0, None, (SAVED.at(line),))
        for operation, line in (("backward", "loss.backward()"), ("barrier", "barrier()"))
    )
    loops = ("for epoch in range(3):", "for x in loader:")
    traces = []
    for calls, counts in (((passed, passed, alone), (1, 2)), ((passed, passed, passed), (2, 3))):
        trace = rank(*calls)
        turns = [Turns(SAVED.at(loop), n) for loop, n in zip(loops, counts, strict=True)]
        seen = (*trace.sightings, *turns)
        traces.append(replace(trace, sightings=seen, sources=SAVED.trace().sources))
    (finding,) = told(*traces)
    assert (finding.code, cause(finding)) == ("GL304", "barrier()")


BROKEN_OFF = """\
import torch
import torch.distributed as dist
for x in corpus:
    loss.backward()
    if tokens >= most:
        break
"""


def test_a_loop_that_may_have_been_left_is_left_together_where_that_runs() -> None:
    script = Script(BROKEN_OFF)
    loop, failed = script.at("for x in corpus:"), script.at("loss.backward()")
    parted = Parted(loop, "loop", "", failed, (0,), ("rank 0: 9", "rank 1: 8"))
    (finding,) = find(script.trace(sightings=(parted,)))
    assert finding.cause is not None and finding.cause.at == loop
    (other,) = finding.others
    assert "any_rank = torch.tensor(float(tokens >= most))" in other.after
    # Whose condition is the rank's has its reason.
    script = Script(BROKEN_OFF.replace("tokens >= most", "rank == 0"))
    (finding,) = find(script.trace(sightings=(parted,)))
    assert finding.others == ()


def test_what_is_gathered_without_a_graph_is_gathered_with_one() -> None:
    source = (
        "import torch\nimport torch.distributed as dist\n\n\ndef whole(x):\n    parts = [x, x]\n"
        "    dist.all_gather(parts, x)\n    return torch.cat(parts)\n\n\n"
        "z = whole(net(x))\nloss = z.mean()\n"
    )
    script = Script(source)
    (found,) = gathered_in_the_graph(script.trace(), script.at("z = whole(net(x))"))
    assert "parts = list(all_gather_single(x, 0, dist.group.WORLD)" in found.after
    assert not [*gathered_in_the_graph(script.trace(), script.at("loss = z.mean()"))]

"""Calls that other ranks have passed, or that those which are done do not answer; by hand."""

from __future__ import annotations

from dataclasses import replace

from graphlab.trace.ranks.sightings import Exchange, Turns
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

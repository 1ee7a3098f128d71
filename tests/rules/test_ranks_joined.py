"""What ranks that are done with a loop under join() leave unanswered, on traces made by hand."""

from __future__ import annotations

from dataclasses import replace

from graphlab.trace.ranks.sightings import Exchange
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

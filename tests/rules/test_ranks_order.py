"""Where ranks came apart late, or waited for each other, on traces made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.ranks.compare import compared
from graphlab.rules.registry import find
from graphlab.trace import store
from graphlab.trace.finding import Finding
from graphlab.trace.model import Failure, Trace
from graphlab.trace.ranks.joint import Joint, merged
from graphlab.trace.ranks.sightings import (
    Communicated,
    Exchange,
    Exchanged,
    GradientWrite,
    RankSighting,
    Scheduled,
    ShardStep,
    Turns,
)
from tests.rules.build import Script, optimizer, parameter
from tests.rules.test_ranks import rank_step

LOOP = Script(
    """\
def train(model, loader):
    for epoch in range(epochs):
        for x in loader:
            loss = model(x).mean()
            loss.backward()
            for p in parameters:
                if p.grad is not None:
                    all_reduce(p.grad)
            if bad(loss):
                continue
            clip(p)
            optimizer.step()
        if stop(loss):
            break
    gather(loss)
""",
    tensors=(parameter("model.weight"), parameter("model.bias")),
    optimizers=(optimizer(owns=(0, 1)),),
)
STEP, CLIP = LOOP.at("optimizer.step()"), LOOP.at("clip(p)")
REDUCE, GATHER = LOOP.at("all_reduce(p.grad)"), LOOP.at("gather(loss)")
BACKWARD = LOOP.at("loss.backward()")


def told(*ranks: Trace) -> list[Finding]:
    traces = {at: store.loads(store.dumps(trace)) for at, trace in enumerate(ranks)}
    joint = compared(Joint(traces, len(traces)))
    return merged({rank: find(trace) for rank, trace in joint.traces.items()})


def cause(finding: Finding) -> str:
    assert finding.cause is not None and finding.cause.at is not None
    return finding.cause.at.code


def stepping(iterations: tuple[int, ...], values: tuple[str, ...]) -> Trace:
    """A rank whose steps 0 and 8 were sampled, in these iterations and with these parameters."""
    steps = [
        rank_step(at=STEP, step=step, iteration=iteration, values=(value, "b"))
        for step, iteration, value in zip((0, 8), iterations, values, strict=True)
    ]
    return LOOP.trace(sightings=tuple(steps))


def test_a_step_that_a_rank_has_skipped_between_two_that_are_compared() -> None:
    (finding,) = told(stepping((0, 8), ("a", "c")), stepping((0, 9), ("a", "d")))
    assert (finding.code, finding.ranks, cause(finding)) == ("GL303", (0,), "if bad(loss):")
    assert "only rank 0 ran optimizer.step() in some iteration before 9" in finding.summary


def test_ranks_that_pass_over_batches_of_their_own_and_stay_together() -> None:
    assert told(stepping((0, 8), ("a", "c")), stepping((0, 9), ("a", "c"))) == []


def test_parameters_that_part_and_nothing_says_why() -> None:
    (finding,) = told(stepping((0, 8), ("a", "c")), stepping((0, 8), ("a", "d")))
    assert (finding.code, finding.cause) == ("GL303", None)
    assert "were the same at an earlier one" in finding.summary


def test_a_state_that_one_rank_alone_has_restored() -> None:
    one, other = stepping((0, 8), ("a", "c")), stepping((0, 8), ("a", "d"))
    restored = (*one.sightings, Scheduled(CLIP, 1, "load_state_dict"))
    (finding,) = told(replace(one, sightings=restored), other)
    assert (finding.code, finding.ranks, cause(finding)) == ("GL303", (0,), "clip(p)")
    both = (*other.sightings, Scheduled(CLIP, 1, "load_state_dict"))
    (finding,) = told(replace(one, sightings=restored), replace(other, sightings=both))
    assert finding.cause is None


def scaled(factor: float) -> Trace:
    step = ShardStep(STEP, 0, 1, 1, factor, 1e-4, (GradientWrite(CLIP, "clip()"),))
    return LOOP.trace(sightings=(step,))


def test_shards_that_each_rank_scales_by_a_norm_of_its_own() -> None:
    (finding,) = told(scaled(0.25), scaled(0.26))
    assert (finding.code, finding.ranks, cause(finding)) == ("GL303", (0, 1), "clip(p)")
    assert "rank 0: 0.25; rank 1: 0.26" in finding.summary


def test_shards_that_all_ranks_scale_alike() -> None:
    assert told(scaled(0.25), scaled(0.25000001)) == []


def rank(
    *calls: Exchange, waits: bool = True, before: int = 0, turns: tuple[tuple[str, int], ...] = ()
) -> Trace:
    """A rank that made these calls, and was cut off at the last one or ended."""
    kinds = list(dict.fromkeys(calls))
    order = tuple(kinds.index(call) for call in calls)
    seen: list[RankSighting] = [Exchanged(None, before, tuple(kinds), order)]
    seen += [
        Communicated(call.lines[-1], call.operation, calls.count(call))
        for call in {(each.operation, each.lines[-1]): each for each in calls}.values()
    ]
    seen += [Turns(LOOP.at(line), count) for line, count in turns]
    trace = LOOP.trace(sightings=tuple(seen))
    if not waits:
        return trace
    failure = Failure("RuntimeError", "gloo: timed out", calls[-1].lines[-1], 0)
    return replace(trace, outcome="raised", exception=failure)


SMALL, LARGE = (
    Exchange("all_reduce", 4, None, (REDUCE,)),
    Exchange("all_reduce", 8, None, (REDUCE,)),
)
PASS = Exchange("backward", 0, None, (BACKWARD,))
LAST = Exchange("all_gather", 2, None, (GATHER,))


def test_a_rank_that_passes_over_one_that_others_have() -> None:
    turn = (PASS, SMALL, LARGE)
    (finding,) = told(rank(*turn, PASS, SMALL), rank(*turn, PASS, LARGE))
    assert (finding.code, cause(finding)) == ("GL304", "if p.grad is not None:")
    assert "(rank 0: 4, rank 1: 8 elements)" in finding.summary


def test_tensors_of_other_sizes_in_a_line() -> None:
    (finding,) = told(rank(PASS, SMALL), rank(PASS, LARGE))
    assert (finding.code, cause(finding)) == ("GL304", "all_reduce(p.grad)")


def test_a_loop_that_one_rank_leaves() -> None:
    epochs, batches = "for epoch in range(epochs):", "for x in loader:"
    more = rank(PASS, PASS, PASS, turns=((epochs, 2), (batches, 3)))
    less = rank(PASS, PASS, waits=False, turns=((epochs, 1), (batches, 2)))
    (finding,) = told(more, less)
    assert (finding.code, cause(finding)) == ("GL304", "if stop(loss):")
    assert "loop in line 2 ran its body so many times on each (rank 0: 2, rank 1: 1)" in (
        finding.summary
    )


def test_a_loop_that_is_longer_on_one_rank() -> None:
    epochs, batches = "for epoch in range(epochs):", "for x in loader:"
    more = rank(PASS, PASS, PASS, turns=((epochs, 1), (batches, 3)))
    less = rank(PASS, PASS, LAST, turns=((epochs, 1), (batches, 2)))
    (finding,) = told(more, less)
    assert (finding.code, cause(finding)) == ("GL304", "for x in loader:")


ROLES = Script(
    """\
def train(batch):
    for step in range(5):
        broadcast(batch, 2)
        all_reduce(grad)


def generate():
    for step in range(5):
        broadcast(made, 2)
""",
    tensors=(parameter("model.weight"), parameter("model.bias")),
    optimizers=(optimizer(owns=(0, 1)),),
)
TAKEN, MADE, MEAN = (
    Exchange(operation, 8 if operation == "broadcast" else 4, None, (ROLES.at(line),))
    for operation, line in (
        ("broadcast", "broadcast(batch, 2)"),
        ("broadcast", "broadcast(made, 2)"),
        ("all_reduce", "all_reduce(grad)"),
    )
)


def test_calls_that_meet_their_counterparts_are_no_difference() -> None:
    ranks = [rank(TAKEN, MEAN), rank(TAKEN, MEAN), rank(MADE, MADE)]
    ranks = [replace(each, sources=ROLES.trace().sources) for each in ranks]
    (finding,) = told(*ranks)
    assert (finding.code, cause(finding)) == ("GL304", "all_reduce(grad)")
    # One that met another by accident is the difference still.
    ranks = [rank(TAKEN, MADE), rank(MADE, MEAN)]
    ranks = [replace(each, sources=ROLES.trace().sources) for each in ranks]
    assert cause(told(*ranks)[0]) == "broadcast(batch, 2)"


EVALUATING = Script(
    """\
def evaluate(parts):
    for part in parts:
        reduce(part)

for epoch in range(2):
    for x in loader:
        loss.backward()
    evaluate(parts)
"""
)


def test_the_rank_that_has_not_come_so_far_is_in_the_longer_loop() -> None:
    """The other is in the next epoch, and has begun the first loop there once more."""
    reduced = Exchange(
        "all_reduce", 4, None,
        (
            EVALUATING.at("evaluate(parts)"),
            replace(EVALUATING.at("reduce(part)"), function="evaluate"),
        ),
    )  # fmt: skip
    trained = Exchange("backward", 0, None, (EVALUATING.at("loss.backward()"),))
    loops = ("for epoch in range(2):", "for x in loader:", "for part in parts:")
    traces = []
    for last, counts in ((reduced, (1, 2, 3)), (trained, (2, 3, 2))):
        seen = [Turns(EVALUATING.at(loop), n) for loop, n in zip(loops, counts, strict=True)]
        trace = rank(trained, trained, reduced, reduced, last)
        kept = [each for each in trace.sightings if isinstance(each, Exchanged)]
        sources = {EVALUATING.at("evaluate(parts)").file: EVALUATING.source}
        traces.append(replace(trace, sightings=(*kept, *seen), sources=sources))
    (finding,) = told(*traces)
    assert (finding.code, cause(finding)) == ("GL304", "for part in parts:")


def test_a_loop_that_one_rank_has_left_after_as_many_turns() -> None:
    """It has begun the loop again since."""
    batches = "for x in loader:"
    one = rank(PASS, PASS, PASS, PASS, turns=((batches, 4),))
    other = rank(PASS, PASS, PASS, LAST, PASS, turns=((batches, 4),))
    (finding,) = told(one, other)
    assert (finding.code, cause(finding)) == ("GL304", "for x in loader:")
    assert "some had left the loop in line 3" in finding.summary


def test_a_call_that_one_rank_has_passed_over_in_a_turn() -> None:
    batches, step = "for x in loader:", Exchange("all_reduce", 8, None, (STEP,))
    one = rank(step, step, step, turns=((batches, 3),))
    other = rank(step, step, LAST, turns=((batches, 3),))
    (finding,) = told(one, other)
    assert (finding.code, cause(finding)) == ("GL304", "if bad(loss):")
    assert "(rank 0: 3, rank 1: 2)" in finding.summary


def test_a_backward_that_was_cut_off_before_it_counted() -> None:
    batches, clip = "for x in loader:", Exchange("backward", 0, None, (STEP,))
    one, other = (
        rank(clip, clip, turns=((batches, 3),)),
        rank(clip, clip, LAST, turns=((batches, 3),)),
    )
    (finding,) = told(one, other)
    assert (finding.code, cause(finding)) == ("GL304", "if bad(loss):")
    assert "backward in line 12 was called so many times on each (rank 0: 3, rank 1: 2)" in (
        finding.summary
    )


def test_what_is_in_another_order_with_two_ranks_alone_is_not_compared() -> None:
    one = rank(Exchange("send", 4, 1, (CLIP,)), SMALL)
    other = rank(Exchange("recv", 4, 0, (STEP,)), LARGE)
    assert "elements" not in told(one, other)[0].summary


@pytest.mark.parametrize("operation", ["send", "recv"])
def test_two_ranks_that_wait_for_each_other(operation: str) -> None:
    one = rank(PASS, Exchange(operation, 4, 1, (CLIP,)))
    other = rank(PASS, Exchange(operation, 4, 0, (STEP,)))
    (finding,) = told(one, other)
    assert (finding.code, cause(finding)) == ("GL304", "optimizer.step()")
    assert f"rank 0 in line 11 and rank 1 in line 12 wait in {operation}" in finding.summary


def test_what_a_call_calls_in_turn_is_not_named() -> None:
    one = rank(PASS, Exchange("send", 4, 1, (CLIP,)), Exchange("isend", 4, 1, (CLIP,)))
    other = rank(PASS, Exchange("send", 4, 0, (STEP,)), Exchange("isend", 4, 0, (STEP,)))
    (finding,) = told(one, other)
    assert "wait in send, each for the other" in finding.summary


def test_a_rank_that_waits_for_one_that_waits_elsewhere() -> None:
    one = rank(PASS, Exchange("send", 4, 1, (CLIP,)))
    other = rank(PASS, Exchange("send", 4, 2, (STEP,)))
    assert all("each for the other" not in each.summary for each in told(one, other))


EXCHANGING = Script(
    """\
def learn(net, batches):
    for batch in batches:
        recv(batch, 1)
        reduce(batch)
        send(net, 1)
    barrier()

def act(net, batches):
    for batch in batches:
        send(batch, 0)
        recv(net, 0)
        reduce(batch)
"""
)


@pytest.mark.parametrize(
    ("line", "operation", "crosses"),
    [("reduce", "all_reduce", True), ("barrier", "barrier", False)],
)
def test_a_rank_that_waits_for_one_that_waits_for_all(
    line: str, operation: str, crosses: bool
) -> None:
    """Not where the loop that sends is over: it was shorter there."""
    lines = EXCHANGING.source.splitlines()
    numbered = {at: text.strip() for at, text in enumerate(lines, 1)}
    there = next(at for at, text in numbered.items() if text.startswith(line))
    places = [replace(LOOP.at("clip(p)"), line=at, code=numbered[at]) for at in (there, 11)]
    one = rank(Exchange(operation, 4, None, (places[0],)))
    other = rank(Exchange("recv", 4, 0, (places[1],)))
    sources = {places[0].file: EXCHANGING.source}
    (finding,) = told(replace(one, sources=sources), replace(other, sources=sources))
    assert finding.code == "GL304"
    words = f"wait for each other (rank 0: {operation}, rank 1: recv)"
    assert (words in finding.summary) == crosses
    if crosses:
        assert cause(finding) == "recv(net, 0)"


def test_a_loop_in_which_nobody_communicates_is_none_that_ranks_part_in() -> None:
    batches, parts = "for x in loader:", "for p in parameters:"
    more = rank(PASS, PASS, PASS, turns=((batches, 3), (parts, 9)))
    less = rank(PASS, PASS, waits=False, turns=((batches, 3), (parts, 6)))
    (finding,) = told(more, less)
    assert (finding.code, cause(finding)) == ("GL304", "loss.backward()")


RESUMED = Script(
    """\
def average(model):
    all_reduce(p.grad)

def resume(model):
    if rank == 0:
        broadcast(p.data, 0)

resume(model)
loss.backward()
average(model)
"""
)


def test_a_call_that_others_never_come_to_though_its_line_is_further_down() -> None:
    sent, mean = (
        Exchange(operation, 8, None, (RESUMED.at(call), replace(RESUMED.at(line), function=name)))
        for operation, call, line, name in (
            ("broadcast", "resume(model)", "broadcast(p.data, 0)", "resume"),
            ("all_reduce", "average(model)", "all_reduce(p.grad)", "average"),
        )
    )
    ranks = [replace(rank(each), sources=RESUMED.trace().sources) for each in (sent, mean)]
    (finding,) = told(*ranks)
    assert (finding.code, cause(finding)) == ("GL304", "broadcast(p.data, 0)")

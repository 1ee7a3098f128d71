"""What the traces of two ranks side by side show, on traces made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graphlab.language import Message
from graphlab.ranks.compare import compared
from graphlab.rules.registry import find
from graphlab.trace import store
from graphlab.trace.finding import Finding
from graphlab.trace.model import Failure, Saved, Step, Trace, Write
from graphlab.trace.ranks.joint import Joint, merged
from graphlab.trace.ranks.sightings import (
    DDP,
    Carried,
    Communicated,
    GradientWrite,
    NotAveraged,
    RankSighting,
    RankStep,
    Scheduled,
    Source,
    Wrapped,
)
from tests.rules.build import Script, backward, optimizer, parameter

LOOP = Script(
    """\
for x in batches:
    loss = model(x).mean()
    optimizer.zero_grad()
    loss.backward()
    clip(model)
    optimizer.step()
""",
    tensors=(parameter("model.weight"), parameter("model.bias")),
    optimizers=(optimizer(owns=(0, 1)),),
)
BACKWARD, STEP = LOOP.at("loss.backward()"), LOOP.at("optimizer.step()")
CLIP = GradientWrite(LOOP.at("clip(model)"), "clip()")


def rank_step(**fields: Any) -> RankStep:
    same = {
        "at": STEP, "optimizer": 0, "step": 0, "iteration": 0, "tensors": (0, 1),
        "values": ("a", "b"), "fresh": ("c", "d"), "gradients": ("c", "d"),
        "sources": (Source(BACKWARD, "loss.backward()"),), "source_of": (0, 0),
        "rates": ("0.1",), "settings": ("momentum=0",),
    }  # fmt: skip
    return RankStep(**{**same, **fields})


def found(one: RankStep, other: RankStep) -> list[Finding]:
    traces = {at: LOOP.trace(sightings=(each,)) for at, each in enumerate((one, other))}
    # What a trace says must survive its file.
    traces = {at: store.loads(store.dumps(trace)) for at, trace in traces.items()}
    joint = compared(Joint(traces, 2))
    return merged({rank: find(trace) for rank, trace in joint.traces.items()})


def told(**other: Any) -> list[tuple[str, tuple[int, ...]]]:
    return [(each.code, each.ranks) for each in found(rank_step(), rank_step(**other))]


def test_ranks_that_do_the_same_are_nothing() -> None:
    assert told() == []
    assert told(writes=(CLIP,)) == []


def test_a_gradient_that_differs_after_the_backward() -> None:
    other = {"fresh": ("x", "d"), "gradients": ("x", "d")}
    (finding,) = found(rank_step(), rank_step(**other))
    assert (finding.code, finding.ranks) == ("GL301", (0, 1))
    assert finding.tensor is not None and finding.tensor.tensor.name == "model.weight"
    assert finding.cause is not None and finding.cause.at == BACKWARD
    assert finding.failed is not None and finding.failed.at == STEP


def test_one_that_the_program_averages_itself_is_nothing() -> None:
    assert told(fresh=("x", "y")) == []


def test_a_gradient_that_one_rank_clips() -> None:
    one = rank_step(writes=(CLIP,), gradients=("x", "y"))
    (finding,) = found(one, rank_step())
    assert (finding.code, finding.ranks) == ("GL303", (0,))
    assert finding.cause is not None and finding.cause.at == CLIP.at


def test_another_learning_rate() -> None:
    assert told(rates=("0.2",)) == [("GL303", (0, 1))]
    assert told(settings=("momentum=0.9",)) == [("GL303", (0, 1))]


def test_parameters_of_other_names_are_not_compared() -> None:
    tensors = (parameter("critic.weight"), parameter("critic.bias"))
    one, other = rank_step(), rank_step(fresh=("x", "y"), gradients=("x", "y"))
    traces = {0: LOOP.trace(sightings=(one,))}
    traces[1] = replace(LOOP, tensors=tensors).trace(sightings=(other,))
    joint = compared(Joint(traces, 2))
    assert [find(trace) for trace in joint.traces.values()] == [[], []]


def test_which_ranks_in_words() -> None:
    traces = {rank: LOOP.trace() for rank in range(3)}
    assert Joint({0: traces[0], 1: traces[1]}, 2).where((0, 1)) == "on both ranks"
    assert Joint(traces, 3).where((0, 1, 2)) == "on all 3 ranks"
    assert Joint(traces, 3).where((0, 2)) == "ranks 0 and 2 only"
    assert Joint({1: traces[1]}, 2).where((1,)) == "rank 1"
    assert Joint({1: traces[1]}, 2).lead().unseen == ("rank 0 left no trace",)


def cut_off(counts: dict[str, int], at: str, message: str = "gloo: timed out") -> Trace:
    """A rank that was cut off at a line, having run others so often."""
    seen = tuple(Communicated(LOOP.at(line), "all_reduce", count) for line, count in counts.items())
    failure = Failure("RuntimeError", message, LOOP.at(at), 0)
    return replace(LOOP.trace(sightings=seen), outcome="raised", exception=failure)


def test_ranks_that_wait_at_different_lines() -> None:
    one = cut_off({"clip(model)": 1}, "clip(model)")
    other = cut_off({"optimizer.step()": 1}, "optimizer.step()")
    joint = compared(Joint({0: one, 1: other}, 2))
    (finding,) = merged({rank: find(trace) for rank, trace in joint.traces.items()})
    assert (finding.code, finding.ranks) == ("GL304", (0, 1))
    assert finding.cause is not None and finding.cause.at == LOOP.at("clip(model)")
    assert "rank 0 in line 5, rank 1 in line 6" in finding.summary


def test_an_error_of_a_ranks_own_is_the_whole_story() -> None:
    one = cut_off({"clip(model)": 1}, "clip(model)")
    other = cut_off({}, "loss.backward()", "size mismatch")
    joint = compared(Joint({0: one, 1: other}, 2))
    assert [find(trace) for trace in joint.traces.values()] == [[], []]


def test_a_line_that_steps_a_scheduler_on_one_rank_only() -> None:
    steps = [rank_step(step=1, iteration=1, rates=rates) for rates in (("0.1",), ("0.05",))]
    scheduled = (Scheduled(LOOP.at("clip(model)"), 1),)
    traces = {
        0: LOOP.trace(sightings=(steps[0],)),
        1: LOOP.trace(sightings=(steps[1], *scheduled)),
    }
    joint = compared(Joint(traces, 2))
    (finding,) = merged({rank: find(trace) for rank, trace in joint.traces.items()})
    assert finding.cause is not None and finding.cause.at == LOOP.at("clip(model)")
    assert isinstance(finding.cause.what, Message)


def test_values_that_one_rank_wrote() -> None:
    (finding,) = found(rank_step(values=("x", "b"), value_writes=(CLIP,)), rank_step())
    assert (finding.code, finding.ranks) == ("GL303", (0,))
    assert finding.cause is not None and finding.cause.at == CLIP.at


SKIPPING = replace(
    LOOP,
    source=LOOP.source.replace(
        "    optimizer.step()\n", "    if finite(loss):\n        optimizer.step()\n"
    ),
)


def skipping(*iterations: int) -> Trace:
    at = SKIPPING.at("optimizer.step()")
    steps = (
        rank_step(at=at, step=step, iteration=iteration, fresh=(str(iteration), ""))
        for step, iteration in enumerate(iterations)
    )
    return SKIPPING.trace(sightings=tuple(steps))


def test_a_step_that_one_rank_skips() -> None:
    joint = compared(Joint({0: skipping(0, 1, 2), 1: skipping(0, 2, 3)}, 2))
    (finding,) = merged({rank: find(trace) for rank, trace in joint.traces.items()})
    assert (finding.code, finding.iteration, finding.ranks) == ("GL303", 1, (0,))
    assert finding.cause is not None and finding.cause.at is not None
    assert finding.cause.at.code == "if finite(loss):"


def test_a_rank_that_ended_earlier_skipped_nothing() -> None:
    joint = compared(Joint({0: skipping(0, 1, 2), 1: skipping(0, 1)}, 2))
    assert [find(trace) for trace in joint.traces.values()] == [[], []]


GAN = Script(
    """\
for real in batches:
    gene_img = G(noise())
    gene_logit = D(gene_img)
    D_loss_ = D(real).mean() - gene_logit.mean()
    G_loss_ = gene_logit.mean()
    D_loss_.backward(retain_graph=True)
    optimizer_D.step()
    G_loss_.backward()
    optimizer_G.step()
""",
    tensors=(parameter("G.weight"), parameter("D.weight")),
    optimizers=(optimizer("optimizer_G", owns=(0,)), optimizer("optimizer_D", owns=(1,))),
)


def stale(*sightings: RankSighting) -> Finding:
    saved = Saved(
        3, "AddmmBackward0", GAN.at("gene_logit = D(gene_img)"), "D", 1, 0, 1, "stale", write=2
    )
    step = GAN.at("optimizer_D.step()")
    trace = GAN.trace(
        backward(GAN.at("D_loss_.backward(retain_graph=True)"), "D_loss_", reached=(0, 1)),
        Step(4, step, 1, 0),
        Write(4, step, "optimizer_D.step()", 1, 0, 1),
        backward(GAN.at("G_loss_.backward()"), "G_loss_", problems=(saved,), raised="RuntimeError"),
        sightings=sightings,
    )
    return next(each for each in find(trace) if each.code == "GL001")


def test_under_a_wrapper_the_repair_leaves_the_averaging_to_the_loss_that_needs_it() -> None:
    alone = stale()
    assert [each.text.split()[0] for each in alone.help] == ["Compute"]
    assert "detach" not in alone.help[0].after
    (help,) = stale(Wrapped(None, DDP, (0, 1))).help
    assert "gene_logit = D(gene_img.detach())\n" in help.after
    assert help.after.count("gene_logit = D(gene_img)\n") == 1
    # Where the wrapper takes care of D alone, nothing is used up.
    assert stale(Wrapped(None, DDP, (1,))).help == alone.help


def test_a_method_that_runs_both_wrappers_may_be_called_again() -> None:
    source = GAN.source.replace("gene_logit.mean()\n    D_loss_.b", "x\n    D_loss_.b")
    one = "    G_loss_, D_loss_ = losses(real)\n"
    head, tail = source.index("    gene_img"), source.index("    D_loss_.backward")
    script = replace(GAN, source=source[:head] + one + source[tail:])
    saved = Saved(3, "AddmmBackward0", script.at(one.strip()), "D", 1, 0, 1, "stale", write=2)
    step, failed = script.at("optimizer_D.step()"), script.at("G_loss_.backward()")
    trace = script.trace(
        backward(script.at("D_loss_.backward(retain_graph=True)"), "D_loss_", reached=(0, 1)),
        Step(4, step, 1, 0),
        Write(4, step, "optimizer_D.step()", 1, 0, 1),
        backward(failed, "G_loss_", problems=(saved,), raised="RuntimeError"),
        sightings=(Wrapped(None, DDP, (0, 1)),),
    )
    finding = next(each for each in find(trace) if each.code == "GL001")
    # What is told has no lines to detach; what is tried averages once more.
    assert not any(each.after for each in finding.help)
    assert f"{one}    G_loss_.backward()\n" in [each.after for each in finding.others]


def test_calling_the_wrapper_in_place_of_its_module() -> None:
    script = replace(LOOP, source=LOOP.source.replace("model(x)", "model.module(x)"))
    around = script.at("loss = model.module(x).mean()")
    source = Source(BACKWARD, "loss.backward()", "around", around, "model.module()")
    sighting = NotAveraged(STEP, 0, 0, (0,), source, (0, 1))
    (finding,) = find(script.trace(sightings=(sighting,)))
    assert finding.help[0].after == "    loss = model(x).mean()\n"


def test_no_sync_around_every_backward_is_left_out() -> None:
    script = replace(
        LOOP,
        source=LOOP.source.replace(
            "    loss.backward()\n", "    with model.no_sync():\n        loss.backward()\n"
        ),
    )
    source = Source(
        script.at("loss.backward()"), "loss.backward()", "no-sync",
        script.at("with model.no_sync():"), "model.no_sync()",
    )  # fmt: skip
    sighting = NotAveraged(script.at("optimizer.step()"), 0, 0, (0,), source, (0, 1))
    (finding,) = find(script.trace(sightings=(sighting,)))
    assert finding.help[0].after == "    loss.backward()\n"


def test_a_call_that_only_one_rank_made_is_told_before_those_that_wait() -> None:
    one = cut_off({"clip(model)": 1, "loss.backward()": 2}, "loss.backward()")
    other = cut_off({"loss.backward()": 1}, "loss.backward()")
    joint = compared(Joint({0: one, 1: other}, 2))
    (finding,) = merged({rank: find(trace) for rank, trace in joint.traces.items()})
    assert finding.cause is not None and finding.cause.at == LOOP.at("clip(model)")


def test_a_group_without_all_ranks_may_train_a_model_of_its_own() -> None:
    sources = (Source(BACKWARD, "loss.backward()", "group", LOOP.at("loss = model(x).mean()")),)
    own = {"fresh": ("x", "y"), "gradients": ("x", "y"), "sources": sources}
    (finding,) = found(rank_step(sources=sources), rank_step(**own))
    assert (finding.code, finding.ranks) == ("GL301", (0, 1))
    assert finding.cause is not None and finding.cause.at == LOOP.at("loss = model(x).mean()")
    assert found(rank_step(sources=sources), rank_step(values=("e", "f"), **own)) == []


def test_what_is_whole_beside_sharded_parameters() -> None:
    sources = (Source(BACKWARD, "loss.backward()", "unsharded"),)
    steps = [rank_step(sources=sources), rank_step(sources=sources, fresh="xy", gradients="xy")]
    for in_graph, codes in ((False, ["GL301"]), (True, [])):
        # Experts of each rank's own exchange tokens with a graph.
        carried = Carried(None, 1000, False, in_graph)
        traces = {at: LOOP.trace(sightings=(each, carried)) for at, each in enumerate(steps)}
        joint = compared(Joint(traces, 2))
        told = merged({rank: find(trace) for rank, trace in joint.traces.items()})
        assert [each.code for each in told] == codes


def test_gradients_that_are_averaged_with_those_of_other_parameters() -> None:
    """Each rank has the parameters in an order of its own."""
    by_place = {"gradients": ("x", "y"), "shared": (True, True), "writes": (CLIP,)}
    (finding,) = found(rank_step(**by_place), rank_step(**by_place, tensors=(1, 0)))
    assert (finding.code, finding.ranks) == ("GL301", (0, 1))
    assert "in other orders, and clip() adds up those of one place" in finding.summary
    assert finding.cause is not None and finding.cause.at == CLIP.at
    other = {**by_place, "gradients": ("y", "x"), "values": ("b", "a"), "tensors": (1, 0)}
    assert found(rank_step(**by_place), rank_step(**other)) == []
    # What differs is told of each by its name.
    (finding,) = found(rank_step(**by_place), rank_step(**{**other, "values": ("b", "z")}))
    assert (finding.code, finding.cause) == ("GL303", None)
    assert finding.tensor is not None and finding.tensor.tensor.name == "model.weight"

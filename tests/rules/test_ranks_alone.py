"""Repairs of what one rank does alone, and of what each decides by a number of its own."""

from __future__ import annotations

from graphlab.rules.forks import diversion
from graphlab.rules.registry import find
from graphlab.rules.repair.ranks.alone import alone_afterwards, on_every_rank
from graphlab.rules.repair.ranks.replicas import sent_where_written
from graphlab.rules.repair.ranks.samplers import same_settings
from graphlab.rules.repair.ranks.statistics import over_all_ranks
from graphlab.rules.repair.ranks.together import (
    averaged_first,
    decided_by_the_mean,
    decided_together,
)
from graphlab.trace.ranks.inputs import FrozenApart
from tests.rules.build import Script
from tests.rules.test_ranks_repairs import lines

ALONE = Script("""\
import torch.distributed as dist


def save(model, path):
    optimizer.consolidate_state_dict()
    torch.save(model, path)


for step, x in enumerate(batches):
    if step % 10 == 0 and accelerator.is_main_process:
        print(step)
        model.eval()
        options = Options(full=True)
        state = get_state(model, options)
        print(state)
    if rank == 0:
        save(model, path)
    if rank == 0: dist.barrier()
    if late:
        gather(x)
""")


def test_what_all_ranks_need_is_taken_out_with_what_it_needs_itself() -> None:
    trace = ALONE.trace()
    found = on_every_rank(trace, ALONE.at("state = get_state(model, options)"))
    # What else the condition asks is asked of all, and what is logged stays.
    assert lines(found) == [
        "    if step % 10 == 0:",
        "        model.eval()",
        "        options = Options(full=True)",
        "        state = get_state(model, options)",
        "    if step % 10 == 0 and accelerator.is_main_process:",
        "        print(step)",
    ]
    one = on_every_rank(trace, ALONE.at("if rank == 0: dist.barrier()"))
    assert lines(one) == ["    dist.barrier()"] and one is not None and not one.choice
    meant = on_every_rank(trace, ALONE.at("gather(x)"))
    assert meant is not None and meant.choice


def test_the_others_leave_a_function_that_all_ranks_call() -> None:
    found = alone_afterwards(ALONE.trace(), ALONE.at("optimizer.consolidate_state_dict()"))
    rows = lines(found)
    assert rows[:2] == ["    if dist.get_rank() != 0:", "        return"]
    assert rows[-1] == "    save(model, path)"
    assert alone_afterwards(ALONE.trace(), ALONE.at("gather(x)")) is None


SENT = Script("""\
import torch
import torch.distributed as dist


def resume(model, rank):
    if rank == 0:
        model.load_state_dict(read(path))
        for p in model.parameters():
            dist.broadcast(p.data, 0)


def init(module):
    zeros_(module.bias)


class EMA:
    def update(self):
        if self.step % 4 == 0:
            for e, p in self.pairs:
                p.copy_(e)


for x in batches:
    if rank == 0:
        ema.update()
        model.apply(init)
    try:
        loss = model(x)
    except TooShort:
        skipped += 1
        continue
    loss.backward()
""")


def test_a_loop_that_one_rank_alone_goes_through_is_taken_out_whole() -> None:
    found = on_every_rank(SENT.trace(), SENT.at("dist.broadcast(p.data, 0)"))
    assert lines(found) == [
        "    model.load_state_dict(read(path))",
        "    for p in model.parameters():",
        "        dist.broadcast(p.data, 0)",
    ]


def test_a_condition_that_all_decide_alike_is_in_what_one_rank_calls() -> None:
    found = on_every_rank(SENT.trace(), SENT.at("p.copy_(e)"))
    assert lines(found)[0] == "    ema.update()"
    # A function may be given to what calls it.
    given = on_every_rank(SENT.trace(), SENT.at("zeros_(module.bias)"))
    assert lines(given)[0] == "    model.apply(init)"


def test_what_each_rank_writes_itself_is_sent_by_rank_0() -> None:
    script = Script("""\
import torch.distributed as dist

for p in model.parameters():
    p.data.mul_(mask(p))
    p.data = mask(p)
""")
    found = sent_where_written(script.trace(), script.at("p.data.mul_(mask(p))"))
    assert lines(found)[0] == "    dist.broadcast(p.data, 0)"
    assert sent_where_written(script.trace(), script.at("p.data = mask(p)")) is None


def test_a_network_that_one_rank_alone_has_loaded() -> None:
    script = Script("""\
teacher = Net()
if TEST:
    teacher.load_state_dict(state)
soft = teacher(x)
""")
    for test, severity in (("rank == 0", "warning"), ("path", "info")):
        other = Script(script.source.replace("TEST", test))
        apart = FrozenApart(other.at("soft = teacher(x)"), "teacher", False, (0, 1))
        (finding,) = find(other.trace(sightings=(apart,)))
        assert (finding.code, finding.severity) == ("GL313", severity)
        loaded = "teacher.load_state_dict(state)" if test == "rank == 0" else ""
        assert finding.help[0].after.partition("\n")[0] == loaded


def test_statistics_are_averaged_where_they_are_written() -> None:
    script = Script("""\
import torch.distributed as dist


class Codebook(nn.Module):
    def __init__(self):
        self.register_buffer("size", torch.ones(8))
        self.register_buffer("codes", torch.ones(8, 4))

    def forward(self, z):
        self.size.mul_(0.9).add_(z.sum(0), alpha=0.1)
        self.codes.copy_(self.sums / self.size)
        self.seen = z
""")
    (found,) = over_all_ranks(script.trace(), script.at("self.codes.copy_(self.sums / self.size)"))
    assert lines(found)[:2] == [
        "        dist.all_reduce(self.size)",
        "        self.size /= dist.get_world_size()",
    ]


MOMENTS_LINE = "self.mean = self.mean + (x.mean(0) - self.mean) * len(x) / (self.count + len(x))"
ROWS_LINE = "self.rows[label] = 0.9 * self.rows[label] + 0.1 * x[y == label].mean(0)"
MOMENTS = Script("""\
import torch
import torch.distributed as dist


class RunningMean:
    def __init__(self):
        self.mean = torch.zeros(8)
        self.count = 0

    def update(self, x):
        self.mean = self.mean + (x.mean(0) - self.mean) * len(x) / (self.count + len(x))
        self.count = self.count + len(x)


class Prototypes:
    def __init__(self):
        self.rows = torch.zeros(4, 8)

    def update(self, x, y):
        for label in y.unique():
            self.rows[label] = 0.9 * self.rows[label] + 0.1 * x[y == label].mean(0)
""")


def test_statistics_are_taken_over_the_whole_batch() -> None:
    whole, mean = over_all_ranks(MOMENTS.trace(), MOMENTS.at(MOMENTS_LINE))
    assert lines(whole)[:4] == [
        "        x = x.detach().contiguous()",
        "        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]",
        "        dist.all_gather(parts, x)",
        "        x = torch.cat(parts)",
    ]
    assert "        dist.all_reduce(self.mean)" in lines(mean)
    assert not any("count)" in each and "all_reduce" in each for each in lines(mean))


def test_statistics_of_each_class_are_averaged_behind_the_loop() -> None:
    (found,) = over_all_ranks(MOMENTS.trace(), MOMENTS.at(ROWS_LINE))
    assert lines(found)[-2:] == [
        "        dist.all_reduce(self.rows)",
        "        self.rows /= dist.get_world_size()",
    ]


def test_all_ranks_pass_over_what_one_could_not_do() -> None:
    caught = SENT.at("except TooShort:")
    place = diversion(SENT.trace(), SENT.at("loss.backward()"))
    assert place is not None and (place.at, place.what) == (caught, "except TooShort")
    assert lines(decided_together(SENT.trace(), caught))[:-1] == [
        "    any_rank = torch.tensor(0.0)",
        "    try:",
        "        loss = model(x)",
        "    except TooShort:",
        "        skipped += 1",
        "        any_rank += 1",
        "    dist.all_reduce(any_rank, op=dist.ReduceOp.MAX)",
        "    if any_rank:",
        "        continue",
    ]


def test_a_number_that_decides_is_averaged_first() -> None:
    plateau = Script("""\
import torch
import torch.distributed as dist

scheduler.step(sum(losses) / 8)
scheduler.step()
""")
    found = averaged_first(plateau.trace(), plateau.at("scheduler.step(sum(losses) / 8)"))
    assert lines(found) == [
        "on_all_ranks = torch.tensor(float(sum(losses) / 8))",
        "dist.all_reduce(on_all_ranks)",
        "scheduler.step(on_all_ranks.item() / dist.get_world_size())",
    ]
    assert averaged_first(plateau.trace(), plateau.at("scheduler.step()")) is None


def test_a_rate_is_decided_by_the_mean_of_all_ranks() -> None:
    adaptive = Script("""\
import torch
import torch.distributed as dist

for x in batches:
    kl = divergence(x)
    if kl > 2 * target:
        lr = lr / 2
    elif kl < target:
        lr = lr * 2
    for group in optimizer.param_groups:
        group["lr"] = lr
""")
    assigned = adaptive.at('group["lr"] = lr')
    assert lines(decided_by_the_mean(adaptive.trace(), assigned))[:3] == [
        "    on_all_ranks = torch.tensor(float(kl))",
        "    dist.all_reduce(on_all_ranks)",
        "    kl = on_all_ranks.item() / dist.get_world_size()",
    ]
    assert decided_by_the_mean(adaptive.trace(), adaptive.at("kl = divergence(x)")) is None


def test_an_optimizer_is_told_the_same_on_every_rank() -> None:
    made = Script("optimizer = SGD(params, lr=base * (rank + 1), momentum=a * b)\n")
    found = same_settings(made.trace(), made.at(made.source.strip()))
    assert lines(found) == ["optimizer = SGD(params, lr=base, momentum=a * b)"]
    plain = Script("optimizer = SGD(params, lr=base * scale)\n")
    assert same_settings(plain.trace(), plain.at(plain.source.strip())) is None

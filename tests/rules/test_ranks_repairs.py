"""Repairs of programs of several ranks, as edits of their source."""

from __future__ import annotations

from dataclasses import replace

from graphlab.rules.repair.ranks.alone import on_every_rank
from graphlab.rules.repair.ranks.averages import (
    averaged_before,
    averaged_by_hand,
    clipped_after,
    of_every_parameter,
    written_back,
)
from graphlab.rules.repair.ranks.collectives import in_the_graph
from graphlab.rules.repair.ranks.options import (
    built_after_sharding,
    given_to_all,
    sharded_whole,
    waited_for,
)
from graphlab.rules.repair.ranks.replicas import (
    begins_alike,
    sent_after,
    sent_again,
    wrapped_again,
)
from graphlab.rules.repair.ranks.syncing import paused_but_the_last, synced_with_the_step
from graphlab.rules.repair.ranks.together import (
    called_before_leaving,
    decided_together,
    joined,
    past_the_wrapper,
)
from graphlab.trace.finding import Help
from graphlab.trace.ranks.sightings import DDP, Wrapped
from tests.rules.build import Script

HAND = Script("""\
import torch.distributed as dist


def average(net, world):
    for name, p in net.layers.named_parameters():
        if "bias" in name:
            continue
        dist.all_reduce(p.grad)
        p.grad /= world


for x in batches:
    loss.backward()
    norm = clip_grad_norm_(model.parameters(), 1.0)
    average(model, 2)
    optimizer.step()
    average(model, 1)
""")
COPY = Script("""\
for p in model.parameters():
    grad = p.grad / world
    dist.all_reduce(grad)
    grad *= 1.0
flat = torch.cat([p.grad.view(-1) for p in net.parameters() if p.grad is not None])
dist.all_reduce(flat)
two = p.grad + q.grad
dist.all_reduce(two)
""")
WRAPPED = Script("""\
import torch
import torch.distributed as dist

model = DDP(Net(), device_ids=[rank])
model.module.head = nn.Linear(16, 3)
if rank == 0:
    state = torch.load(path)
    model.module.load_state_dict(state)
if fresh:
    model.load_state_dict(other)
for x in batches:
    loss = model(x).mean()
    if torch.isnan(loss):
        continue
    if rank == 1 and late:
        continue
    if step % 10 == 0:
        print(loss)
    loss.backward()
""")
SYNC = Script("""\
for i, x in enumerate(batches):
    last = (i + 1) % 4 == 0
    with model.no_sync() if last else nullcontext():
        model(x).mean().backward()
    if last:
        optimizer.step()
    ctx = model.no_sync if i % 4 else nullcontext
    with ctx():
        model(x).sum().backward()
    if (i + 1) % 4 == 0:
        optimizer.step(None)
    if i % 2:
        with model.no_sync():
            loss.backward()
    else:
        loss.backward(None)
""")
MADE = Wrapped(WRAPPED.at("model = DDP(Net(), device_ids=[rank])"), DDP, (0,))


def lines(help: Help | None) -> list[str]:
    assert help is not None and help.before != help.after
    return help.after.splitlines()


def test_what_averages_goes_before_the_step() -> None:
    late, step = HAND.at("average(model, 1)"), HAND.at("optimizer.step()")
    assert lines(averaged_before(HAND.trace(), late, step)) == [
        "    average(model, 1)", "    optimizer.step()"
    ]  # fmt: skip
    # Where it comes first already there is nothing to move.
    assert averaged_before(HAND.trace(), step, late) is None


def test_a_clipping_goes_behind_the_average() -> None:
    clip = HAND.at("norm = clip_grad_norm_(model.parameters(), 1.0)")
    mean, step = HAND.at("average(model, 2)"), HAND.at("optimizer.step()")
    assert lines(clipped_after(HAND.trace(), clip, mean, step))[:2] == [
        "    average(model, 2)", f"    {clip.code}"
    ]  # fmt: skip
    uses = Script(HAND.source.replace("average(model, 2)", "average(model, norm)"))
    mean = uses.at("average(model, norm)")
    assert clipped_after(uses.trace(), clip, mean, step) is None


def test_an_average_goes_back_into_the_gradients() -> None:
    one = written_back(COPY.trace(), COPY.at("dist.all_reduce(grad)"))
    assert lines(one)[0] == "    p.grad.copy_(grad)"
    assert one is not None and one.line == 5
    rows = lines(written_back(COPY.trace(), COPY.at("dist.all_reduce(flat)")))
    assert rows[:2] == [
        "for grad, part in zip([p.grad for p in net.parameters() if p.grad is not None], "
        "flat.split([p.grad.numel() for p in net.parameters() if p.grad is not None])):",
        "    grad.copy_(part.view_as(grad))",
    ]
    # Of two gradients' sum it is not known how much is whose.
    assert written_back(COPY.trace(), COPY.at("dist.all_reduce(two)")) is None


def test_the_loop_goes_over_every_parameter() -> None:
    mean = HAND.at("dist.all_reduce(p.grad)")
    (found,) = of_every_parameter(HAND.trace(), mean, "model")
    assert lines(found) == ["    for name, p in net.named_parameters():"]
    some = Script("for p in net.layers.parameters():\n    dist.all_reduce(p.grad)\n")
    (found,) = of_every_parameter(some.trace(), some.at("dist.all_reduce(p.grad)"), "model")
    assert found.after == "for p in net.parameters():\n"


def test_a_module_that_was_changed_is_wrapped_again() -> None:
    changed = WRAPPED.at("model.module.head = nn.Linear(16, 3)")
    found = wrapped_again(WRAPPED.trace(), MADE.at, changed)
    assert lines(found)[0] == "model = DDP(model.module, device_ids=[rank])"
    assert wrapped_again(WRAPPED.trace(), changed, MADE.at) is None


def test_what_one_rank_has_loaded_is_sent_to_all() -> None:
    loaded = WRAPPED.at("model.module.load_state_dict(state)")
    assert lines(sent_after(WRAPPED.trace(), loaded, 0))[:2] == [
        "for tensor in model.module.state_dict().values():", "    dist.broadcast(tensor, 0)"
    ]  # fmt: skip
    assert sent_after(WRAPPED.trace(), WRAPPED.at("model.load_state_dict(other)"), 0) is None


def test_ranks_decide_together() -> None:
    rows = lines(decided_together(WRAPPED.trace(), WRAPPED.at("if torch.isnan(loss):")))
    assert rows[:3] == [
        "    any_rank = torch.tensor(float(torch.isnan(loss)), device=rank)",
        "    dist.all_reduce(any_rank, op=dist.ReduceOp.MAX)",
        "    if any_rank:",
    ]
    # What is about the rank is meant, and what passes nothing over parts no ranks.
    for code in ("if rank == 1 and late:", "if step % 10 == 0:"):
        assert decided_together(WRAPPED.trace(), WRAPPED.at(code)) is None


def test_a_loop_of_unequal_turns_is_joined() -> None:
    trace = WRAPPED.trace(sightings=(MADE,))
    rows = lines(joined(trace, WRAPPED.at("for x in batches:")))
    assert rows[:3] == [
        "with model.join():",
        "    for x in batches:",
        "        loss = model(x).mean()",
    ]
    assert joined(WRAPPED.trace(), WRAPPED.at("for x in batches:")) is None


def test_the_backward_before_a_step_is_the_one_that_averages() -> None:
    def synced(cause: str, backward: str, step: str) -> list[str]:
        places = [SYNC.at(each) for each in (cause, backward, step)]
        return lines(synced_with_the_step(SYNC.trace(), *places))

    inverted = "with model.no_sync() if last else nullcontext():"
    assert synced(inverted, "model(x).mean().backward()", "optimizer.step()") == [
        "    with nullcontext() if last else model.no_sync():"
    ]
    made = "ctx = model.no_sync if i % 4 else nullcontext"
    assert synced(made, "model(x).sum().backward()", "optimizer.step(None)") == [
        "    ctx = nullcontext if (i + 1) % 4 == 0 else model.no_sync"
    ]
    branch = synced("with model.no_sync():", "loss.backward()", "optimizer.step(None)")
    assert branch == ["    if not (i % 2):"]


APART = Script("""\
import torch.distributed as dist


def validate(net, data):
    return net(data)


def init(m):
    xavier_uniform_(m.weight)


def save(rank):
    if rank != 0:
        return
    store(rank)
    dist.barrier()


model = DDP(Net())
model.apply(init)
for epoch in range(9):
    if epoch == 1:
        for p in model.module.parameters():
            p.requires_grad = True
    for micro in range(steps):
        model.require_backward_grad_sync = micro == steps
        loss = model.module.work()
    optimizer.step()
    if rank == 0:
        print(validate(model, x))
        scheduler.step()
""")
BUILT = Wrapped(APART.at("model = DDP(Net())"), DDP, (0,))


def test_a_module_that_is_thawed_is_wrapped_again_once() -> None:
    found = wrapped_again(APART.trace(), BUILT.at, APART.at("p.requires_grad = True"))
    assert lines(found)[0] == "        model = DDP(model.module)"


def test_what_is_called_there_has_changed_the_module() -> None:
    classes = "class Low:\n    def __init__(self):\n        freeze(p)\n\n\n"
    helpers = "def inject(module):\n    module.fc = Low()\n\n\n"
    script = Script(f"{classes}{helpers}net = Net()\nmodel = DDP(net)\ninject(model.module)\n")
    found = wrapped_again(script.trace(), script.at("model = DDP(net)"), script.at("freeze(p)"))
    assert lines(found) == ["inject(model.module)", "model = DDP(model.module)"]


def test_a_flag_is_set_for_the_last_turn_before_the_step() -> None:
    flag = APART.at("model.require_backward_grad_sync = micro == steps")
    found = paused_but_the_last(APART.trace(), flag, APART.at("optimizer.step()"))
    assert lines(found) == ["        model.require_backward_grad_sync = micro == steps - 1"]


def test_ranks_that_leave_make_the_call_too() -> None:
    barrier, test = APART.at("dist.barrier()"), APART.at("if rank != 0:")
    found = called_before_leaving(APART.trace(), barrier, test)
    assert lines(found)[:2] == ["        dist.barrier()", "        return"]
    assert called_before_leaving(APART.trace(), barrier, APART.at("if epoch == 1:")) is None


def test_one_rank_evaluates_the_module_itself() -> None:
    forward = APART.at("return net(data)")
    found = past_the_wrapper(APART.trace(sightings=(BUILT,)), forward)
    assert lines(found) == ["        print(validate(model.module, x))"]
    assert past_the_wrapper(APART.trace(), forward) is None


def test_what_is_written_after_wrapping_is_sent_again() -> None:
    found = sent_again(APART.trace(), BUILT.at, APART.at("xavier_uniform_(m.weight)"))
    assert lines(found)[:2] == [
        "for tensor in model.state_dict().values():", "    dist.broadcast(tensor, 0)"
    ]  # fmt: skip


def test_the_last_statement_of_one_rank_is_made_by_all() -> None:
    found = on_every_rank(APART.trace(), APART.at("scheduler.step()"))
    assert lines(found) == ["    scheduler.step()"]
    assert found is not None and not found.choice


def test_gradients_are_averaged_by_hand_before_the_step() -> None:
    rows = lines(averaged_by_hand(APART.trace(), APART.at("optimizer.step()"), "model"))
    assert rows[:4] == [
        "    for parameter in model.parameters():",
        "        if parameter.grad is not None:",
        "            dist.all_reduce(parameter.grad)",
        "            parameter.grad /= dist.get_world_size()",
    ]
    step = APART.at("optimizer.step()")
    own = lines(averaged_by_hand(APART.trace(), step, "", ["model", "a.b"]))
    assert own[0] == "    for parameter in [model]:"
    # Where the model has no name there, by what is stepped.
    rows = lines(averaged_by_hand(APART.trace(), step, "trained"))
    stepped = '[each for group in optimizer.param_groups for each in group["params"]]'
    assert rows[0] == f"    for parameter in {stepped}:"
    assert averaged_by_hand(APART.trace(), APART.at("print(validate(model, x))"), "") is None


def test_what_an_object_holds_is_sent_by_its_path() -> None:
    held = Script("import torch.distributed as dist\n\ntrainer = Trainer(rank)\n")
    found = begins_alike(held.trace(), held.at("trainer = Trainer(rank)"), "trainer.net")
    assert lines(found)[1] == "for parameter in trainer.net.parameters():"


OPTIONS = Script("""\
from torch.distributed.fsdp import fully_shard

optimizer = AdamW(model.parameters())
for block in model.blocks:
    fully_shard(block)
dist.all_reduce(p.grad, async_op=True)
dist.reduce(p.grad, dst=0, op=dist.ReduceOp.SUM)
dist.reduce(q.grad, 0)


def update(teacher):
    teacher.mul_(0.9)


for x in batches:
    if rank == 0:
        update(teacher)
        print(x)
""")


def test_a_call_is_given_other_arguments() -> None:
    trace = OPTIONS.trace()
    async_ = waited_for(trace, OPTIONS.at("dist.all_reduce(p.grad, async_op=True)"))
    assert lines(async_) == ["dist.all_reduce(p.grad)"]
    named = given_to_all(trace, OPTIONS.at("dist.reduce(p.grad, dst=0, op=dist.ReduceOp.SUM)"))
    assert lines(named) == ["dist.all_reduce(p.grad, op=dist.ReduceOp.SUM)"]
    plain = given_to_all(trace, OPTIONS.at("dist.reduce(q.grad, 0)"))
    assert lines(plain) == ["dist.all_reduce(q.grad)"]
    assert given_to_all(trace, OPTIONS.at("fully_shard(block)")) is None


def test_the_whole_model_is_sharded_before_its_optimizer_is_built() -> None:
    trace = OPTIONS.trace()
    assert lines(sharded_whole(trace, "model"))[0] == "fully_shard(model)"
    assert sharded_whole(trace, "trained") is None
    made = OPTIONS.at("optimizer = AdamW(model.parameters())")
    moved = lines(built_after_sharding(trace, made))
    assert moved[:3] == ["for block in model.blocks:", "    fully_shard(block)", made.code]
    assert built_after_sharding(trace, OPTIONS.at("teacher.mul_(0.9)")) is None


def test_what_one_rank_calls_is_called_by_all() -> None:
    found = on_every_rank(OPTIONS.trace(), OPTIONS.at("teacher.mul_(0.9)"))
    assert lines(found) == ["    update(teacher)", "    if rank == 0:"]


OFF = Script("""\
import torch
import torch.distributed as dist


@torch.no_grad()
@named("gather")
def of_all(rows):
    dist.all_gather(parts, rows, async_op=False)
    return torch.cat(parts)


with torch.no_grad():
    dist.all_gather(other, rows)
""")


def test_what_records_no_graph_is_taken_away_with_the_collective() -> None:
    trace = OFF.trace()
    trace = replace(trace, environment=replace(trace.environment, torch="2.13.0"))
    gathered = OFF.at("dist.all_gather(parts, rows, async_op=False)")
    assert lines(in_the_graph(trace, gathered, "all_gather")) == [
        '@named("gather")',
        "def of_all(rows):",
        "    from torch.distributed._functional_collectives import all_gather_single",
        "    parts = list(all_gather_single(rows, 0, dist.group.WORLD)"
        ".chunk(dist.get_world_size(dist.group.WORLD)))",
    ]
    # A function there would record none either.
    other = OFF.at("dist.all_gather(other, rows)")
    assert in_the_graph(trace, other, "all_gather") is None

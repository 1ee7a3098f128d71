"""Repairs of programs whose modules fully_shard has sharded."""

from __future__ import annotations

from graphlab.rules.repair.ranks.averages import averaged_by_hand, clipped_after
from graphlab.rules.repair.ranks.options import registered_forwards
from graphlab.rules.repair.ranks.syncing import paused_but_the_last
from tests.rules.build import Script
from tests.rules.test_ranks_repairs import lines

CODER = Script("""\
class Coder(nn.Module):
    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)


fully_shard(coder.encoder)
fully_shard(coder)
for step in range(8):
    coder.set_requires_gradient_sync(step == 9)
    coder.set_requires_gradient_sync(recurse=True)
    z = coder.encode(x)
    coder.train()
    loss = coder.decode(z).mean()
    loss.backward()
    if step % 2:
        optimizer.step()
""")


def test_the_methods_past_the_forward_are_named() -> None:
    called = CODER.at("z = coder.encode(x)")
    assert lines(registered_forwards(CODER.trace(), "coder.encode()", called))[:3] == [
        "from torch.distributed.fsdp import register_fsdp_forward_method",
        'register_fsdp_forward_method(coder, "decode")',
        'register_fsdp_forward_method(coder, "encode")',
    ]
    # Of torch's own, and of what is not sharded itself.
    for name in ("coder.train()", "decoder.encode()"):
        assert registered_forwards(CODER.trace(), name, called) is None


def test_a_flag_that_a_call_sets_is_true_with_the_step() -> None:
    flag, step = (
        CODER.at("coder.set_requires_gradient_sync(step == 9)"),
        CODER.at("optimizer.step()"),
    )
    found = paused_but_the_last(CODER.trace(), flag, step)
    assert lines(found) == ["    coder.set_requires_gradient_sync(step % 2)"]
    other = CODER.at("coder.set_requires_gradient_sync(recurse=True)")
    assert paused_but_the_last(CODER.trace(), other, step) is None


def test_parameters_beside_shards_are_averaged_alone() -> None:
    script = Script("import torch.distributed as dist\nmodel = Net()\noptimizer.step()\n")
    step = script.at("optimizer.step()")
    rows = lines(averaged_by_hand(script.trace(), step, "model", (), True))
    assert rows[1].strip() == (
        'if parameter.grad is not None and not hasattr(parameter, "full_tensor"):'
    )


def test_a_clamp_goes_behind_the_mean_and_not_behind_the_sum() -> None:
    script = Script(
        "for p in model.parameters():\n    p.grad.clamp_(-1, 1)\n    dist.all_reduce(p.grad)\n"
        "    p.grad /= world\n    print(p)\noptimizer.step()\n"
    )
    clip, mean = script.at("p.grad.clamp_(-1, 1)"), script.at("dist.all_reduce(p.grad)")
    found = clipped_after(script.trace(), clip, mean, script.at("optimizer.step()"))
    assert lines(found)[:3] == [
        "    dist.all_reduce(p.grad)", "    p.grad /= world", "    p.grad.clamp_(-1, 1)"
    ]  # fmt: skip

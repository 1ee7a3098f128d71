"""The optimizer ledger: what each owns, what its steps changed by value, and what they left."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab
from graphlab import catalogue
from graphlab.commands.check import OPTIMIZERS

D = ["D.0.weight", "D.0.bias", "D.2.weight", "D.2.bias", "D.4.weight", "D.4.bias"]
G = [name.replace("D", "G") for name in D]


def ledger(trace: Any) -> dict[str, dict[str, Any]]:
    """{optimizer: its ledger with names for places}"""

    def names(places: Any) -> list[str]:
        return [trace.tensors[place].name for place in places]

    return {
        each.name: {
            "class": each.class_name,
            "steps": each.steps,
            "owns": names(each.owns),
            "touched": names(each.touched),
            "untouched": {left.name: left.why for left in each.untouched},
            "others": names(each.others_changed),
            "line": each.at.line if each.at is not None else None,
        }
        for each in trace.optimizers
    }


def script(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer_d_touches_only_d_though_its_loss_reached_g(
    observe: Any, line_in: Any, optimizer: str
) -> None:
    path = catalogue.scenario("naive").path
    trace = observe("naive", "--optimizer", optimizer).trace
    found = ledger(trace)
    assert list(found) == ["optimizer_D", "optimizer_G"]
    assert found["optimizer_D"]["owns"] == D
    assert sorted(found["optimizer_D"]["touched"]) == sorted(D)
    assert found["optimizer_D"]["others"] == []
    assert found["optimizer_D"]["class"] == ("SGD" if optimizer == "sgd" else "Adam")
    assert found["optimizer_G"]["owns"] == G
    assert found["optimizer_D"]["line"] == line_in(path, "optimizer_D = lab.optimizer(args, D)")
    reached = [
        {trace.tensors[place].name for place in event.reached}
        for event in trace.events
        if type(event).__name__ == "Backward" and event.loss == "D_loss_"
    ]
    assert reached and all(names == {*D, *G} for names in reached)
    if optimizer != "adam-fused":
        # The loop died before G's first step, and the ledger does not make one up.
        steps = found["optimizer_D"]["steps"], found["optimizer_G"]["steps"]
        assert steps == (1, 0)
        assert found["optimizer_G"]["touched"] == []


def test_steps_are_counted_and_compared_by_value(observe: Any) -> None:
    """Against copies that plain torch takes around each step of the same loop."""
    path = catalogue.scenario("joint").path
    source = path.read_text(encoding="utf-8")
    changed: dict[str, set[str]] = {"D": set(), "G": set()}
    counts = {"D": 0, "G": 0}

    def step(owner: str, optimizer: Any, nets: dict[str, Any]) -> None:
        before = {
            f"{net}.{key}": parameter.detach().clone()
            for net in "DG"
            for key, parameter in nets[net].named_parameters()
        }
        optimizer.step()
        counts[owner] += 1
        for net in "DG":
            for key, parameter in nets[net].named_parameters():
                if not torch.equal(parameter, before[f"{net}.{key}"]):
                    changed[owner].add(f"{net}.{key}")

    for net in "DG":
        source = source.replace(
            f"optimizer_{net}.step()", f"step('{net}', optimizer_{net}, vars())"
        )
    words, sys.argv = sys.argv, ["joint.py", "--steps", "8", "--device", "cpu"]
    try:
        exec(compile(source, "joint.py", "exec"), {"__name__": "__main__", "step": step})
    finally:
        sys.argv = words
    found = ledger(observe("joint").trace)
    for net in "DG":
        assert found[f"optimizer_{net}"]["steps"] == counts[net]
        assert set(found[f"optimizer_{net}"]["touched"]) == changed[net]
        assert found[f"optimizer_{net}"]["others"] == []


def test_what_was_left_alone_has_its_reason(observe: Any, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.used = nn.Linear(3, 3)
                self.frozen = nn.Linear(3, 3)
                self.unused = nn.Linear(3, 3)
                self.still = nn.Linear(3, 3)
                self.dead = nn.Linear(3, 3)
                self.coarse = nn.Parameter(torch.tensor(1e9))
                self.frozen.requires_grad_(False)

            def forward(self, x):
                y = self.frozen(self.used(x)) + self.still(x) + 0 * self.dead(x)
                return y + 1e-30 * self.coarse

        net = Net()
        groups = [
            {"params": [p for n, p in net.named_parameters() if not n.startswith("still")]},
            {"params": net.still.parameters(), "lr": 0.0},
        ]
        optimizer = torch.optim.SGD(groups, lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.ones(2, 3)).sum().backward()
            optimizer.step()
        """,
    )
    found = ledger(observe(path).trace)["optimizer"]
    whys = found["untouched"]
    assert set(found["touched"]) == {"net.used.weight", "net.used.bias"}
    assert len(found["owns"]) == 11
    for part, why in {
        "frozen.weight": "frozen: requires_grad is False",
        "frozen.bias": "frozen: requires_grad is False",
        "unused.weight": "no gradient",
        "unused.bias": "no gradient",
        "still.weight": "its learning rate is 0",
        "still.bias": "its learning rate is 0",
        "dead.weight": "its gradient is zero",
        "dead.bias": "its gradient is zero",
        "coarse": "the update is below the precision of its values",
    }.items():
        assert whys.pop(f"net.{part}") == why
    assert whys == {}


def test_a_step_that_writes_what_it_does_not_own_is_told(observe: Any, tmp_path: Path) -> None:
    """Two names for one storage: A's optimizer moves B's weight as well."""
    path = script(
        tmp_path,
        """
        import torch

        a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        b.weight = torch.nn.Parameter(a.weight.detach())
        optimizer_a = torch.optim.SGD(a.parameters(), lr=0.1)
        optimizer_b = torch.optim.SGD(b.parameters(), lr=0.1)
        loss = a(torch.ones(1, 2)).sum()
        loss.backward()
        optimizer_a.step()
        """,
    )
    found = ledger(observe(path).trace)
    assert found["optimizer_a"]["others"] == ["b.weight"]
    assert found["optimizer_b"]["others"] == []


def test_a_loop_in_functions_and_classes_is_named_alike(observe: Any, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import torch

        class Trainer:
            def __init__(self):
                self.model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
                self.opt = self.build()

            def build(self):
                return torch.optim.AdamW(self.model.parameters())

            def fit(self):
                for _ in range(2):
                    self.opt.zero_grad()
                    loss = self.model(torch.ones(1, 2)).sum()
                    loss.backward()
                    self.opt.step()

        trainer = Trainer()
        trainer.fit()
        """,
    )
    found = ledger(observe(path).trace)
    (name,) = found
    assert name == "trainer.opt"
    assert found[name]["owns"] == [
        f"trainer.model.{key}" for key in ("0.weight", "0.bias", "1.weight", "1.bias")
    ]
    assert found[name]["steps"] == 2


@pytest.mark.parametrize("added", [1, 20])
def test_parameters_added_later_are_owned_too(observe: Any, tmp_path: Path, added: int) -> None:
    """Also once the first steps, which are compared by value, are over."""
    path = script(
        tmp_path,
        f"""
        import torch

        one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
        for step in range(24):
            if step == {added}:
                optimizer.add_param_group({{"params": list(two.parameters())}})
            optimizer.zero_grad()
            loss = two(one(torch.ones(1, 2))).sum()
            loss.backward()
            optimizer.step()
        """,
    )
    found = ledger(observe(path).trace)["optimizer"]
    names = {"one.weight", "one.bias", "two.weight", "two.bias"}
    assert set(found["touched"]) == names
    assert set(found["owns"]) == names


NESTED = """
class Mine(torch.optim.SGD):
    def step(self, closure=None):
        return super().step(closure)

net = torch.nn.Linear(2, 1)
torch.optim.SGD(net.parameters(), lr=0.1)
optimizer = Mine(net.parameters(), lr=0.1)
"""

WRAPPED = """
class Wrapper(torch.optim.Optimizer):
    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner = inner

    def step(self, closure=None):
        self.inner.step()

net = torch.nn.Linear(2, 1)
optimizer = Wrapper(torch.optim.SGD(net.parameters(), lr=0.1))
"""

CLOSURE = """
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.LBFGS(net.parameters(), max_iter=2)
"""


@pytest.mark.parametrize("built", [NESTED, WRAPPED], ids=["nested", "wrapped"])
def test_a_step_within_a_step_leaves_the_watch_whole(
    observe: Any, tmp_path: Path, built: str
) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        f"import torch\n{built}"
        "for _ in range(3):\n"
        "    optimizer.zero_grad()\n"
        "    loss = net(torch.ones(1, 2)).sum()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "x = torch.ones(2, requires_grad=True)\n"
        "y = x.exp()\n"
        "loss = (y * y).sum()\n"
        "y.add_(1)\n"
        "loss.backward()\n"
    )
    ran = observe(path)
    found = ledger(ran.trace)["optimizer"]
    assert found["steps"] == 3
    assert set(found["touched"]) == {"net.weight", "net.bias"}
    # What is written after the steps is still seen.
    assert ran.only.code == "GL001"
    assert ran.only.mutated is not None
    assert ran.only.mutated.at.code == "y.add_(1)"


def test_a_step_that_raises_leaves_the_watch_whole(observe: Any, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import torch

        class Broken(torch.optim.SGD):
            def step(self, closure=None):
                raise ValueError("not today")

        net = torch.nn.Linear(2, 1)
        optimizer = Broken(net.parameters(), lr=0.1)
        net(torch.ones(1, 2)).sum().backward()
        try:
            optimizer.step()
        except ValueError:
            pass
        x = torch.ones(2, requires_grad=True)
        y = x.exp()
        loss = (y * y).sum()
        y.add_(1)
        loss.backward()
        """,
    )
    ran = observe(path)
    assert ran.only.code == "GL001"
    assert ran.only.mutated is not None
    assert ran.only.mutated.at.code == "y.add_(1)"
    assert ran.only.saved.at.code == "loss = (y * y).sum()"


def test_a_closure_is_part_of_the_program(observe: Any, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import torch

        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.LBFGS(net.parameters(), max_iter=2)

        def closure():
            optimizer.zero_grad()
            loss = net(torch.ones(1, 2)).pow(2).sum()
            loss.backward()
            return loss

        for _ in range(2):
            optimizer.step(closure)
        """,
    )
    ran = observe(path)
    assert ran.told == []
    assert ledger(ran.trace)["optimizer"]["steps"] == 2
    backwards = [e for e in ran.trace.events if type(e).__name__ == "Backward"]
    assert backwards and {event.loss for event in backwards} == {"loss"}


def test_an_error_caught_inside_a_closure_is_not_the_steps_own(
    observe: Any, tmp_path: Path
) -> None:
    path = script(
        tmp_path,
        """
        import torch

        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.LBFGS(net.parameters(), max_iter=2)

        def closure():
            optimizer.zero_grad()
            try:
                with torch.autograd.profiler.record_function("part"):
                    raise ValueError("not today")
            except ValueError:
                pass
            loss = net(torch.ones(1, 2)).pow(2).sum()
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        """,
    )
    assert ledger(observe(path).trace)["optimizer"]["steps"] == 3


def test_steps_that_overlap_in_two_threads_leave_the_watch_whole() -> None:
    import threading

    barrier = threading.Barrier(2)

    class Slow(torch.optim.Optimizer):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            # Both are inside their steps at once, and leave in the order in which they came.
            barrier.wait(timeout=30)
            for parameter in self.param_groups[0]["params"]:
                parameter.add_(parameter.grad)
            barrier.wait(timeout=30)

    nets = [torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)]
    optimizers = [Slow(net.parameters()) for net in nets]
    for net in nets:
        net(torch.ones(1, 2)).sum().backward()
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="inplace"), graphlab.watch() as session:
        other = threading.Thread(target=optimizers[1].step)
        other.start()
        optimizers[0].step()
        other.join()
        y = x.exp()
        loss = (y * y).sum()
        y.add_(1)
        loss.backward()
    from graphlab.rules.registry import find

    assert session.trace.unseen == ()
    (finding,) = find(session.trace)
    assert finding.mutated is not None
    assert finding.mutated.at.code == "y.add_(1)"
    assert {each.steps for each in session.trace.optimizers} == {1}
    for each in session.trace.optimizers:
        assert set(each.touched) == set(each.owns) and not each.others_changed


def test_an_optimizer_for_every_task_is_shown_a_few_times(command: Any, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import torch
        from torch import nn

        for task in range(40):
            net = nn.Linear(2, 1)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            loss = net(torch.ones(1, 2)).sum()
            loss.backward()
            optimizer.step()
        """,
    )
    told = command("run", str(path), "--explain").stdout
    assert told.count("optimizer  SGD, 1 step\n") == 3
    assert "optimizer  37 more made in line 7, 37 steps" in told


def test_an_optimizer_built_before_the_model_was_made_to_adapt(
    observe: Any, tmp_path: Path
) -> None:
    path = script(
        tmp_path,
        """
        import torch
        from torch import nn

        class Adapted(nn.Module):
            def __init__(self, base):
                super().__init__()
                self.base, self.adapter = base, nn.Linear(4, 1)

            def forward(self, x):
                return self.base(x) + self.adapter(x)

        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        net.requires_grad_(False)
        net = Adapted(net)
        for _ in range(8):
            optimizer.zero_grad()
            net(torch.ones(2, 4)).square().mean().backward()
            optimizer.step()
        """,
    )
    found = {each.code: each for each in observe(path).findings}
    assert found.keys() == {"GL103", "GL110"} and found["GL110"].severity == "info"
    assert "net.adapter.weight" in found["GL103"].summary
    cause = found["GL103"].cause
    assert cause is not None and cause.at.code.startswith("optimizer = torch.optim.SGD(")

"""Names: the shortest path that a user would write, and none through what a library hides."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from graphlab.observe.names import Names, parameters_of, wrapped
from graphlab.source.files import UserFiles


class Holder:
    """Keeps what it is given, as a trainer does."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


class Delegating(torch.optim.Optimizer):
    """As accelerate's and Opacus's wrappers: it hands everything on."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    @property
    def param_groups(self) -> Any:
        return self.optimizer.param_groups


class Sharpness(torch.optim.Optimizer):
    """As SAM: it steps by its own rule, with another optimizer inside."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.base_optimizer = torch.optim.SGD(self.param_groups, lr=0.1)


def names(**space: Any) -> Names:
    return Names(UserFiles()).gather_from(space)


def test_the_shortest_path_is_the_name() -> None:
    net = nn.Linear(2, 2)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    trainer = Holder(state=Holder(net=net, sgd=sgd))
    found = names(trainer=trainer, pair=[net, sgd])
    assert found.modules[id(net)] == "pair[0]" and found.optimizers[id(sgd)] == "pair[1]"
    found = names(trainer=trainer, net=net, sgd=sgd)
    assert found.modules[id(net)] == "net" and found.optimizers[id(sgd)] == "sgd"
    assert found.tensors[id(net.weight)].name == "net.weight"


def test_private_attributes_are_the_last_resort() -> None:
    net = nn.Linear(2, 2)
    holder = Holder(_models=[net], parts=Holder(inner=Holder(net=net)))
    assert names(holder=holder).modules[id(net)] == "holder.parts.inner.net"
    assert names(holder=Holder(_models=[net])).modules[id(net)] == "holder._models[0]"


def test_only_strings_and_integers_are_keys() -> None:
    class Key:
        def __repr__(self) -> str:
            raise AssertionError("the program's code was run")

    net = nn.Linear(2, 2)
    assert names(table={Key(): net}).modules == {}
    assert names(table={Key(): net, 3: net}).modules[id(net)] == "table[3]"


def test_what_a_library_hides_is_no_name_of_an_optimizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = ModuleType("looplib")
    library.__file__ = str(tmp_path / "site-packages" / "looplib.py")
    monkeypatch.setitem(sys.modules, "looplib", library)
    theirs = type("Trainer", (Holder,), {"__module__": "looplib"})
    net = nn.Linear(2, 2)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    found = names(trainer=theirs(_strategy=Holder(optimizers=[sgd])))
    assert found.optimizers == {id(sgd): ""} and found.held_optimizers() == [sgd]
    assert names(trainer=theirs(optimizer=sgd)).optimizers == {id(sgd): "trainer.optimizer"}
    assert names(mine=Holder(_sgd=sgd)).optimizers == {id(sgd): "mine._sgd"}


def test_a_wrapper_that_hands_everything_on_is_what_it_wraps() -> None:
    net = nn.Linear(2, 2)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    outer = Delegating(Delegating(sgd))
    assert wrapped(outer) is sgd and wrapped(sgd) is sgd
    scheduler = torch.optim.lr_scheduler.StepLR(sgd, 1)
    assert wrapped(scheduler) is scheduler
    found = names(optimizer=outer)
    assert found.optimizers == {id(sgd): "optimizer"} and found.held_optimizers() == [sgd]
    assert parameters_of(found.held_optimizers()[0]) == [*net.parameters()]


def test_a_wrapper_with_a_rule_of_its_own_is_an_optimizer() -> None:
    sam = Sharpness(nn.Linear(2, 2).parameters())
    assert wrapped(sam) is sam
    assert names(optimizer=sam).optimizers == {id(sam): "optimizer"}


def test_the_variable_of_a_comprehension_says_less_than_what_it_goes_through() -> None:
    held = Holder(nets=[nn.Linear(2, 2), nn.Linear(2, 2)])
    own = UserFiles((__file__,))
    found = [Names(own).gather(sys._getframe()).modules[id(net)] for net in held.nets]
    assert found == ["held.nets[0]", "held.nets[1]"]


def test_a_tensor_is_called_by_the_variable_that_holds_its_object_rather_than_by_self() -> None:
    class Agent:
        def __init__(self) -> None:
            self.log_alpha = torch.zeros(1, requires_grad=True)

        def named_inside(self) -> str | None:
            found = Names(UserFiles((__file__,))).gather(sys._getframe())
            return found.tensors[id(self.log_alpha)].name

    assert Agent().named_inside() == "self.log_alpha"
    agent = Agent()
    assert agent.named_inside() == "agent.log_alpha"

"""Programs under a torch function mode: what they write, and what is told of them, is the same."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

import graphlab
from tests.programs.truth import CORPUS, hold

# Each goes another way than without: a refused factory, writes by operators and into `.data`, a
# view, a hook, a checkpoint, a custom Function.
SCRIPTS = [
    "errors/start_point_of_integers", "errors/stacked_cells_hidden_list",
    "errors/checkpoint_then_eval", "errors/eikonal_custom_cube",
    "errors/layer_hook_adds_a_gradient", "silent/lookahead_without_copies",
    "clean/parameters_read_as_often_as_needed",
]  # fmt: skip


@pytest.fixture
def default_device() -> Iterator[None]:
    """The mode that most programs have: every factory is called through it."""
    torch.set_default_device("cpu")
    yield
    torch.set_default_device(None)


@pytest.mark.usefixtures("default_device")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_default_device_changes_nothing_that_is_told(name: str) -> None:
    hold(CORPUS / f"{name}.py")


class Onlooker(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "write",
    [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow],
    ids=lambda each: each.__name__,
)
def test_a_mode_is_given_torchs_own_functions(write: Callable[[Any, Any], Any]) -> None:
    one, two, other = torch.ones(2), torch.ones(2), torch.full((2,), 2.0)
    bare, watched = Onlooker(), Onlooker()
    with bare:
        write(one, other)
    with graphlab.watch(), watched:
        write(two, other)
    assert watched.seen == bare.seen
    assert two.tolist() == one.tolist()

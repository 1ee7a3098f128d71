"""Notices a hook that is added anew, step after step, to one parameter or module that keeps all of
them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from types import CellType, FrameType, FunctionType, MethodType
from typing import Any

import torch

from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Ref,
    Unnoticed,
    is_leaf,
    is_module,
    is_tensor,
    requires_grad,
)
from graphlab.source.objects import attributes, class_name, exactly
from graphlab.source.wording import call_text
from graphlab.trace.sightings import HookAgain

# How many of one hook must be there at once, each added after another step; how many where they are
# not known to do the same, one in each step; and how many are kept track of.
ENOUGH, REGULAR, MOST = 3, 8, 64
# How many tensors and modules are kept track of.
HOLDERS = 1024
# Of a tensor, and of a module.
_OF_TENSORS = ("register_hook", "register_post_accumulate_grad_hook")
_OF_MODULES = (
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Added:
    """One hook: where torch keeps it, under which number, what it does, and after which step."""

    kept: Any
    number: Any
    doing: tuple[Any, ...]
    step: int

    def is_there(self) -> bool:
        kept = self.kept()
        return kept is not None and dict.__contains__(kept, self.number)


@dataclass(slots=True)
class Holder:
    ref: Ref
    all: list[Added] = field(default_factory=list)


class HooksAdded:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._holders: dict[tuple[int, Spot], Holder] = {}
        self._found: dict[tuple[int, Spot], HookAgain] = {}
        for kind, names in ((torch.Tensor, _OF_TENSORS), (torch.nn.Module, _OF_MODULES)):
            for name in names:
                function = getattr(kind, name, None)
                if function is not None:
                    watched.tracer.handle(function, partial(self._added, name), "return")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def found(self) -> Iterator[HookAgain]:
        yield from self._found.values()

    def _added(self, call: str, frame: FrameType, event: str, arg: Any) -> None:
        values = frame.f_locals
        holder: Any = values.get("self")
        # What a line computes is new each time, and its hooks go with it.
        if is_tensor(holder) and not (is_leaf(holder) and requires_grad(holder)):
            return
        user = frame.f_back
        own = attributes(arg)
        kept, number = own.get("hooks_dict_ref"), own.get("id")
        # A library may take away later what it adds.
        if user is None or user.f_code not in self._watched.files:
            return
        if type(kept) is not weakref.ref:
            return
        with Unnoticed():
            spot = user.f_code, user.f_lasti
            known = self._holders.get((id(holder), spot))
            if known is None or known.ref() is not holder:
                if len(self._holders) >= HOLDERS:
                    # A batch that requires grad may have a hook of its own each time.
                    alive = {
                        at: each for at, each in self._holders.items() if each.ref() is not None
                    }
                    self._holders = alive if len(alive) < HOLDERS else {}
                known = self._holders[id(holder), spot] = Holder(Ref(holder))
            steps = sum(each.steps for each in self._watched.ledger.registry.alive)
            known.all = [each for each in known.all if each.is_there()][-MOST:]
            known.all.append(Added(kept, number, _doing(values.get("hook")), steps))
            if not _again(known.all):
                self._found.pop((id(holder), spot), None)
                return
            names = Names(self._watched.files).gather(user)
            at = located(spot)
            self._found[id(holder), spot] = HookAgain(
                at, call_text(at, call)[0], _named(holder, names), len(known.all)
            )


def _again(added: list[Added]) -> bool:
    """Whether they are the same hook, or one of each step."""
    last = added[-1]
    same = {each.step for each in added if _alike(each.doing, last.doing)}
    if len(same) >= ENOUGH:
        return True
    recent = [each.step for each in added[-REGULAR:]]
    return len(recent) == REGULAR and all(
        later - earlier == 1 for earlier, later in pairwise(recent)
    )


def _doing(hook: Any) -> tuple[Any, ...]:
    """What tells whether two hooks do the same, compared by identity: the code and what it holds.
    What may be gone by then is held weakly."""
    if type(hook) is partial:
        return (*_doing(hook.func), *map(_held, hook.args), *map(_held, hook.keywords.values()))
    if type(hook) is MethodType:
        return (_held(hook.__self__), *_doing(hook.__func__))
    if type(hook) is FunctionType:
        cells = [_content(each) for each in hook.__closure__ or ()]
        return (hook.__code__, *cells, *map(_held, hook.__defaults__ or ()))
    return (_held(hook),)


def _content(cell: CellType) -> Any:
    try:
        return _held(cell.cell_contents)
    except ValueError:
        return None


def _held(value: Any) -> Any:
    if value is None or exactly(value, int, float, bool, str):
        return value
    try:
        return weakref.ref(value)
    except TypeError:
        # Of a list or a tuple no more is known than that it is another one.
        return object()


def _alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(map(_same, one, other))


def _same(one: Any, other: Any) -> bool:
    if type(one) is weakref.ref and type(other) is weakref.ref:
        return one() is not None and one() is other()
    plain = exactly(one, int, float, bool, str) and type(one) is type(other)
    return one is other or (plain and one == other)


def _named(holder: Any, names: Names) -> str:
    if is_module(holder):
        return names.modules.get(id(holder), class_name(holder))
    known = names.tensors.get(id(holder))
    return known.name if known is not None and known.name else class_name(holder)

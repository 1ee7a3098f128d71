"""Follows every number that is not finite from where it is made to what it reaches.

A dispatch mode sees each operation of a forward, a backward and a step. One that is given finite
numbers alone and returns others has made the first; what is computed from those comes from the same
place. That costs several times the program's own time, so it is done on request, from an iteration
on, until there is something to tell.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from graphlab.observe.graph.walk import operation, sequence
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, located
from graphlab.observe.numbers.births import Birth, first
from graphlab.observe.numbers.derivatives import explain, spoilt_by_data
from graphlab.observe.numbers.dispatched import (
    CONSTANTS,
    name_of,
    overwrites,
    tensors_in,
    written_by,
)
from graphlab.observe.numbers.finite import (
    FINITE,
    Odd,
    counts,
    critical,
    critical_in_place,
    odd,
    of_call,
)
from graphlab.observe.numbers.operands import (
    called_whole,
    is_direct,
    named_by_call,
    operand_text,
    taken,
    written_as,
)
from graphlab.observe.tensors import Unnoticed, count_of, is_tensor, storage_key
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import exactly
from graphlab.source.places import locate
from graphlab.trace.sightings import Phase

# The node that a backward is at. Private to torch; without it a backward's operations are taken for
# a forward's, of the line that calls backward().
_at_node: Callable[[], Any] = getattr(torch._C, "_current_autograd_node", lambda: None)
_ENGINE = "_engine_run_backward"
# How many nodes are remembered with the instruction that made them.
_SPOTS = 100_000
Births = tuple[Birth, ...]
Values = list[Any]
Seen = list[tuple[Any, Odd]]


class Tracking:
    """`start` it in the thread that is to be followed. `in_step` tells whether an optimizer's step
    is running. `guard` is called with exceptions of the observer's own."""

    def __init__(
        self,
        log: Log,
        tracer: LineTracer,
        files: UserFiles,
        table: TensorTable,
        in_step: Callable[[], bool],
        guard: Callable[[Exception], None],
    ) -> None:
        self._log, self._tracer, self._files = log, tracer, files
        self._table, self._in_step, self._guard = table, in_step, guard
        self._births: dict[int, Births] = {}
        self._made = 0
        self._mode: TorchDispatchMode | None = None
        # Whether what the backward that runs began with is finite: what its forward made elsewhere
        # has then not reached it.
        self.finite_root = True
        # The first that was made in the backward that ran last.
        self.last_in_backward: Birth | None = None
        # The node that a backward is at, by its number, and the memory of what it has computed.
        self._at: int | None = None
        self._own: set[int | None] = set()
        # The instruction of the program's that made a node, by the node's number.
        self._spots: dict[int, tuple[CodeType, int]] = {}

    @property
    def on(self) -> bool:
        return self._mode is not None

    def start(self) -> None:
        self._mode = _Mode(self)
        self._mode.__enter__()

    def stop(self) -> None:
        """Safe to call twice. A mode of the program's that was entered since is left alone."""
        mode, self._mode = self._mode, None
        if mode is not None and _innermost() is mode:
            mode.__exit__(None, None, None)

    def of(self, tensor: Any) -> Birth | None:
        """Where a number of `tensor` that is not finite comes from; None if that is not known."""
        key = storage_key(tensor)
        return first(self._births.get(key, ())) if key is not None else None

    def run(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run one operation, and note what became not finite in it."""
        before: Seen = []
        frame = sys._getframe(1)
        try:
            with Unnoticed():
                before = [(each, odd(each)) for each in written_by(func, args, kwargs)]
        except Exception as error:
            self._failed(error)
        result = func(*args, **kwargs)
        if self._mode is not None:
            try:
                with Unnoticed():
                    self._after(func, args, kwargs, result, before, frame)
            except Exception as error:
                self._failed(error)
        return result

    def _failed(self, error: Exception) -> None:
        self._mode = None
        self._guard(error)

    def _after(
        self,
        func: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        result: Any,
        before: Seen,
        frame: FrameType,
    ) -> None:
        node = _at_node()
        if (number := sequence(node) if node is not None else None) != self._at:
            self._at, self._own = number, set()
        if node is None:
            self._note_spot(frame)
        lists = [each for each in args if isinstance(each, list | tuple)]
        apart = func.__name__.startswith(("_foreach_", "_fused_")) and bool(lists)
        if not apart:
            made = [*tensors_in(result)]
            made += [each for each, _ in before if not any(each is other for other in made)]
            given = [*args, *kwargs.values()]
            self._one(func, given, made, before, frame, node)
            if node is not None:
                self._own.update({*map(storage_key, made)} - {*map(storage_key, tensors_in(given))})
            return
        # An operation on lists is one on each of their entries.
        length = max(len(each) for each in lists)
        results = result if isinstance(result, list | tuple) else args[0]
        for at in range(length):
            given = [
                (each[at] if at < len(each) else None) if isinstance(each, list | tuple) else each
                for each in (*args, *kwargs.values())
            ]
            mine = [entry for entry in before if any(entry[0] is each for each in given)]
            made = [entry[0] for entry in mine]
            if at < len(results) and is_tensor(results[at]):
                made.append(results[at])
            self._one(func, given, made, mine, frame, node)

    def _note_spot(self, frame: FrameType) -> None:
        """An operation of a forward runs: the node made last is its own, unless it has one."""
        number = self._tracer.seq() - 1
        if number not in self._spots:
            if len(self._spots) >= _SPOTS:
                self._spots.clear()
            user = user_frame(frame, self._files)
            if user is not None:
                self._spots[number] = user.f_code, user.f_lasti

    def _one(
        self, func: Any, given: Values, made: Values, before: Seen, frame: FrameType, node: Any
    ) -> None:
        bad = [(each, found) for each in made if counts(each) and (found := odd(each))]
        for each in made:
            if counts(each) and not any(each is other for other, _ in bad) and _whole(each):
                self._births.pop(storage_key(each) or 0, None)
        if not bad:
            return
        name, inputs = name_of(func), self._inputs(given, made, before, func)
        if inputs and self._left([*inputs, *bad], before):
            return
        known: list[Birth] = []
        had_nan = False
        for tensor, found in inputs:
            births = self._births.get(storage_key(tensor) or 0, ())
            if any(each.phase == "data" and not each.operand for each in births):
                self._name(births, tensor, given, frame)
            births = births or self._met(tensor, found, given, bad, frame)
            if not births:
                return
            if node is not None and self.finite_root:
                # What the loss does not hold comes in again with what another node saved of it.
                number = sequence(node)
                births = tuple(
                    each
                    for each in births
                    if each.phase in ("backward", "data")
                    or (each.phase == "forward" and not each.meant and each.node != number)
                )
            elif any(not each.meant for each in births):
                births = tuple(each for each in births if not each.meant)
            known += [each for each in births if each not in known]
            had_nan = had_nan or found.nan > 0
        nan_now = any(found.nan for _, found in bad)
        real = [each for each in known if not each.meant]
        anew = nan_now and not had_nan and not real
        if anew and node is not None and spoilt_by_data(operation(node).split("Backward")[0]):
            # An infinite number that came with the data is what has spoilt this derivative.
            anew = any(each.phase != "data" or each.operation for each in known)
        if not known or anew:
            tensor, found = max(bad, key=lambda each: sum(each[1]))
            numbers = [each for each in given if exactly(each, int, float)]
            birth = self._born(name, given, numbers, tensor, found, frame, node)
            infinite = any(abs(each) == float("inf") for each in numbers) or name == "lift_fresh"
            birth.meant = not found.nan and infinite and node is None
            known = [birth]
        for tensor, _ in bad:
            key = storage_key(tensor)
            if key is not None:
                older = () if _whole(tensor) else self._births.get(key, ())
                self._births[key] = (*(each for each in older if each not in known), *known)

    def _left(self, found: Seen, before: Seen) -> bool:
        """Whether all that was found had been there, in what was written to, from nothing seen."""
        there = {id(tensor): was for tensor, was in before}
        return all(
            now.nan <= (was := there.get(id(tensor), FINITE)).nan
            and now.inf <= was.inf
            and storage_key(tensor) not in self._births
            for tensor, now in found
        )

    def _inputs(self, given: list[Any], made: list[Any], before: Seen, func: Any) -> Seen:
        """What it was given that was not finite, with what that was before it ran."""
        written = {id(tensor) for tensor, _ in before}
        found = [entry for entry in before if entry[1] and not overwrites(func)]
        for each in tensors_in(given):
            if id(each) not in written and counts(each) and (now := odd(each)):
                found.append((each, now))
        return found

    def _met(
        self, tensor: Any, found: Odd, given: list[Any], bad: Seen, frame: FrameType
    ) -> Births:
        """A number that is not finite and that no operation seen has made. None of a parameter or
        buffer where `bad`, what has it now, is a part of that: it has yet to be read."""
        user, at, text = taken([*tensors_in(given)], tensor, frame, self._files)
        named = Names(self._files).gather(user).of_tensor(tensor)
        phase: Phase = "before" if named and named[1].kind in ("parameter", "buffer") else "data"
        if named is not None and (phase == "before" or not text):
            text = named[1].name
        key = storage_key(tensor)
        if phase == "before" and all(storage_key(each) == key for each, _ in bad):
            return ()
        birth = self._new(at, "", phase, tensor, found, user)
        birth.operand = text
        # An infinite number that was there before is a mask as likely as a mistake.
        birth.meant = not found.nan and phase == "data"
        if key is not None:
            self._births[key] = (birth,)
        return (birth,)

    def _name(self, births: Births, tensor: Any, given: list[Any], frame: FrameType) -> None:
        """What came with such a number is called by the name under which it is taken first."""
        for each in births:
            if each.phase == "data" and not each.operand:
                each.operand = taken([*tensors_in(given)], tensor, frame, self._files)[2]

    def _born(
        self,
        name: str,
        given: list[Any],
        numbers: list[Any],
        tensor: Any,
        found: Odd,
        frame: FrameType,
        node: Any,
    ) -> Birth:
        user, inside = self._frame_of(frame, node)
        tensors = [*tensors_in(given)]
        if node is not None and not inside:
            birth = self._new(
                located(self._log.line_of(sequence(node))), operation(node), "backward",
                tensor, found, user,
            )  # fmt: skip
            spot = self._spots.get(sequence(node))
            explain(birth, node, name, tensors, numbers, tensor, found, self._own, spot)
            self.last_in_backward = self.last_in_backward or birth
            birth.module = self.module_of(sequence(node))
            return birth
        at = locate(user.f_code, user.f_lasti) if user is not None else None
        phase: Phase = "backward" if node is not None else "step" if self._in_step() else "forward"
        if name == "lift_fresh":
            phase = "data"
        birth = self._new(at, name, phase, tensor, found, user)
        birth.inside, birth.node = inside, self._tracer.seq() - 1
        if inside:
            self.last_in_backward = self.last_in_backward or birth
        whole = None if tensors or name not in CONSTANTS else called_whole(user)
        if whole is not None:
            birth.operation, birth.operand, value = whole
            birth.critical = of_call(birth.operation, value)
            birth.module = self.module_of(self._tracer.seq())
            return birth
        which, birth.critical = critical(name, tensors, numbers)
        birth.operation = written_as(name, at, user)
        if len(tensors) == 1 and tensors[0] is tensor:
            birth.critical = critical_in_place(name, tensor)
        direct = at is not None and is_direct(frame, user)
        # The line that calls a step of torch's has no operands of what that computes.
        if at is not None and (phase != "step" or direct):
            birth.operand = operand_text(at, user, tensors, which, direct)
            if not birth.operand and not direct and user is not None and tensors:
                birth.operand = named_by_call(at, user, frame, tensors, which)
        if at is not None and phase != "step":
            birth.module = self.module_of(self._tracer.seq())
        return birth

    def _new(
        self, at: Any, name: str, phase: Phase, tensor: Any, found: Odd, user: FrameType | None
    ) -> Birth:
        self._made += 1
        iterations = self._tracer.iterations
        iteration = iterations.fetching(user)
        if iteration is None:
            iteration = iterations.iteration(user)
        return Birth(
            self._made, at, name, phase, found.nan > 0, iteration,
            count=sum(found), whole=count_of(tensor),
        )  # fmt: skip

    def _frame_of(self, frame: FrameType, node: Any) -> tuple[FrameType | None, bool]:
        """The user's frame that the operation runs in, and whether that is a backward of theirs."""
        each: FrameType | None = frame
        while each is not None and each.f_code not in self._files:
            if node is not None and each.f_code.co_name == _ENGINE:
                return user_frame(each, self._files), False
            each = each.f_back
        return each, node is not None and each is not None

    def module_of(self, seq: int) -> str | None:
        """The name of the module in which the node `seq` was made."""
        mark = self._log.mark_of(seq)
        if mark is None or mark.module is None:
            return None
        name = self._table.module_name(mark.module)
        return name if name != "module" else None


class _Mode(TorchDispatchMode):
    def __init__(self, tracking: Tracking) -> None:
        super().__init__()
        self._tracking = tracking

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self._tracking.on:
            return func(*args, **(kwargs or {}))
        return self._tracking.run(func, args, kwargs or {})


def _innermost() -> Any:
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    return _get_current_dispatch_mode()


def _whole(tensor: Any) -> bool:
    """Whether it takes up all of its storage."""
    return tensor.untyped_storage().nbytes() <= count_of(tensor) * tensor.element_size()

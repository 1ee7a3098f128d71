"""Tracks which backwards wrote one parameter's `.grad`, by the gradient's `id()` and version."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import attrgetter
from typing import Any

from graphlab.observe.notes import RawBackward
from graphlab.observe.optimizers.vectors import any_nonzero
from graphlab.observe.tensors import Ref, grad_versions, tensors_in, version_of, versions_of

# How often a gradient's values are checked for a zeroing that bumps no version counter.
LOOKS = 4
# How many tensors that autograd.grad returned are remembered.
HANDED = 4_096


# The identities of some gradients and their versions, in the order of their parameters.
Fingerprint = tuple[list[int], list[int]]
# What stands for a parameter without a gradient in a list of identities.
NONE = id(None)


def fingerprint_of(grads: list[Any]) -> Fingerprint:
    """Called three times a step, so that gradients that have not changed are skipped."""
    identities = [*map(id, grads)]
    if NONE not in identities:
        return identities, versions_of(grads)
    if identities.count(NONE) == len(grads):
        return identities, [0] * len(grads)
    return identities, grad_versions(grads)


class Facts:
    """What is known of one gradient since it was last cleared, or of several alike: then it is one
    object that their parameters share (gradients/groups.py)."""

    __slots__ = (
        "by_hand", "kept", "last_stepper", "seen", "sources", "spent", "steppers", "turns",
        "zeroed",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sources: list[RawBackward] = []
        # How many of the sources each optimizer (by place) had applied at its last step.
        self.spent: dict[int, int] = {}
        # Whether the program itself has written the gradient's values.
        self.by_hand = False
        # The optimizers that ever stepped it, the one that did so last, and how often that changed.
        self.steppers: set[int] = set()
        self.last_stepper: int | None = None
        self.turns = 0
        # How often a gradient that a step had applied was still there at the next backward.
        self.kept = 0
        # Whether a zero_grad() was called on its last gradient.
        self.zeroed = False
        # Whether the parameter ever had a gradient.
        self.seen = False

    def copy(self) -> Facts:
        """The same facts, to go on from on their own."""
        made = Facts()
        for name in self.__slots__:
            setattr(made, name, getattr(self, name))
        made.sources, made.spent = [*self.sources], {**self.spent}
        made.steppers = {*self.steppers}
        return made

    def key(self) -> Hashable:
        """Equal where all facts are."""
        return (
            *map(id, self.sources), *self.spent.items(), self.by_hand, frozenset(self.steppers),
            self.last_stepper, self.turns, self.kept, self.zeroed, self.seen,
        )  # fmt: skip

    def clear(self) -> None:
        """The gradient was cleared or replaced."""
        self.sources = []
        self.spent = {}
        self.by_hand = False

    def written(self, record: RawBackward) -> None:
        """A backward has added to the gradient."""
        self.sources.append(record)
        self.seen, self.zeroed = True, False

    @property
    def ambiguous(self) -> bool:
        """Whether the gradient may have changed with the same identity and version."""
        if self.by_hand or (self.spent and self.kept < LOOKS):
            return True
        return bool(self.sources) and self.sources[-1].is_grad


def _shared(name: str) -> Any:
    """A property that is an attribute of the parameter's facts."""

    def write(state: ParameterState, value: Any) -> None:
        setattr(state.facts, name, value)

    return property(attrgetter(f"facts.{name}"), write)


class ParameterState:
    """One parameter's gradient: what is known of it, and its identity and version as it was last
    noted. To be changed only while it shares its facts with no other."""

    __slots__ = ("facts", "grad_id", "index", "version")

    def __init__(self) -> None:
        self.facts = Facts()
        # The parameter's place in the trace.
        self.index: int | None = None
        self.grad_id = 0
        self.version = 0

    sources: list[RawBackward] = _shared("sources")
    spent: dict[int, int] = _shared("spent")
    by_hand: bool = _shared("by_hand")
    steppers: set[int] = _shared("steppers")
    last_stepper: int | None = _shared("last_stepper")
    turns: int = _shared("turns")
    kept: int = _shared("kept")
    zeroed: bool = _shared("zeroed")
    seen: bool = _shared("seen")
    ambiguous: bool = _shared("ambiguous")

    def clear(self) -> None:
        """The gradient was cleared or replaced."""
        self.facts.clear()

    def settle(
        self,
        grad: Any,
        overwritten: Callable[[Any], bool],
        returned_by: Callable[[Any], RawBackward | None],
    ) -> None:
        """Notice, before a backward or a step, what the program itself did to the gradient.
        `returned_by` gives the call of autograd.grad that returned a tensor."""
        facts = self.facts
        if grad is None:
            facts.zeroed = False
            if facts.sources or facts.spent or facts.by_hand:
                facts.clear()
        elif facts.sources and (
            id(grad) != self.grad_id
            # The next call's gradient may have got the `id()` of the last one's.
            or (facts.sources[-1].is_grad and returned_by(grad) is not facts.sources[-1])
        ):
            facts.clear()
            self._given(grad, returned_by)
        elif facts.sources and version_of(grad) != self.version:
            self.version = version_of(grad)
            # Zeroed in place is cleared; anything else (clipping, scaling) is the same gradient.
            if facts.spent and not any_nonzero(grad):
                facts.clear()
            elif facts.spent and overwritten(grad):
                facts.by_hand = True
        elif not facts.sources:
            self._given(grad, returned_by)
        elif facts.spent and facts.kept < LOOKS:
            # Zeroing through `.data` or NumPy bumps no counter. A program that does so does it
            # every time, so a few checks are enough.
            if any_nonzero(grad):
                facts.kept += 1
            else:
                facts.clear()

    def _given(self, grad: Any, returned_by: Callable[[Any], RawBackward | None]) -> None:
        """The program has assigned a gradient: one that autograd.grad returned, or another."""
        record = returned_by(grad)
        if record is None:
            self.facts.by_hand = not self._only_zeroed(grad)
        else:
            self.written(record, id(grad), version_of(grad))

    def _only_zeroed(self, grad: Any) -> bool:
        """Whether a zero_grad(set_to_none=False) has left this gradient: its counter has moved by
        one, or else its values tell."""
        if not self.facts.zeroed or id(grad) != self.grad_id:
            return False
        return version_of(grad) == self.version + 1 or not any_nonzero(grad)

    def written(self, record: RawBackward, grad_id: int, version: int) -> None:
        """A backward has added to the gradient, which now has this `id()` and version."""
        self.facts.written(record)
        self.grad_id = grad_id
        self.version = version


class GradResults:
    """Which call of torch.autograd.grad returned a tensor, for the last `HANDED` tensors."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Ref, RawBackward]] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def note(self, record: RawBackward, returned: Any) -> None:
        for each in tensors_in(returned):
            self._known.pop(id(each), None)
            self._known[id(each)] = (Ref(each), record)
        while len(self._known) > HANDED:
            del self._known[next(iter(self._known))]

    def of(self, grad: Any) -> RawBackward | None:
        """The call that returned `grad`; None if none did."""
        known = self._known.get(id(grad))
        return known[1] if known is not None and known[0]() is grad else None

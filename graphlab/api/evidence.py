"""What the assertions of a session are checked against: a Trace, and the names of objects in it.

An assertion about an object that was never seen fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import RenderableType
from rich.text import Text

from graphlab.language import message, say, told
from graphlab.observe.live_objects import LiveObjects
from graphlab.rules.registry import find
from graphlab.text import visible
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, OptimizerInfo, Trace
from graphlab.views.console import text
from graphlab.views.terminal.ledger import Ledger
from graphlab.views.terminal.story import headline

# pytest puts four characters before each line of a message.
WIDTH = 76
# Lines of evidence that are shown; the ledger below them is complete.
SHOWN = 8
# Set on the AssertionErrors raised here: whether the message shows the findings in full.
HAS_STORIES = "graphlab_has_stories"
# The same: (claim, evidence), which may be messages that can be told in other languages.
CLAIM = "graphlab_claim"


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter that an assertion is about; `place` is its index in `Trace.tensors`, or None."""

    name: str
    place: int | None
    tensor: Any = None


class Seen:
    """Looks up in a Trace what an assertion names, and raises where the assertion does not hold."""

    def __init__(self, trace: Trace, live: LiveObjects) -> None:
        self.trace = trace
        self._live = live

    def findings(self) -> list[Finding]:
        return [each for each in find(self.trace) if each.severity != "info"]

    def backwards(self) -> list[Backward]:
        __tracebackhide__ = True
        found = [each for each in self.trace.events if isinstance(each, Backward)]
        if not found:
            self.fail(message("assertions.no_backward"), [])
        return found

    def optimizer(self, optimizer: Any) -> tuple[int, OptimizerInfo]:
        """(index in `Trace.optimizers`, its ledger)"""
        __tracebackhide__ = True
        known = self.trace.optimizers
        if isinstance(optimizer, str):
            at = next((i for i, each in enumerate(known) if each.name == optimizer), None)
            called = optimizer
        elif hasattr(optimizer, "param_groups"):
            at = self._live.optimizer(optimizer)
            called = f"this {type(optimizer).__name__}"
        else:
            raise TypeError(f"{_short(optimizer)} is neither an optimizer nor the name of one")
        if at is None or at >= len(known):
            told = message("assertions.no_optimizer", optimizer=called)
            self._unknown(told, [each.name for each in known])
        return at, known[at]

    def compared(self, optimizer: Any) -> OptimizerInfo:
        """The ledger of an optimizer whose steps were compared by value."""
        __tracebackhide__ = True
        _, info = self.optimizer(optimizer)
        if info.elsewhere:
            self.fail(message("assertions.elsewhere", optimizer=info.name), [])
        if not info.steps:
            self.fail(message("assertions.no_step", optimizer=info.name), [])
        if not info.sampled_steps:
            self.fail(message("assertions.not_compared", optimizer=info.name), [])
        return info

    def loss(self, loss: Any) -> str:
        """What the Trace calls it."""
        __tracebackhide__ = True
        events = [each for each in self.trace.events if isinstance(each, Backward)]
        known = dict.fromkeys(each.loss for each in events)
        if isinstance(loss, str):
            name, called = loss, loss
        elif hasattr(loss, "grad_fn"):
            name, called = self._live.loss(loss), "this tensor"
        else:
            raise TypeError(f"{_short(loss)} is neither a loss nor the name of one")
        if name is None or name not in known:
            self._unknown(message("assertions.no_backward_of", loss=called), list(known))
        if all(each.raised for each in events if each.loss == name):
            self.fail(message("assertions.raised", loss=name), [])
        return name

    def members(self, what: Any) -> tuple[str, list[Member]]:
        """(its name in messages, its parameters)"""
        __tracebackhide__ = True
        tensors = self.trace.tensors
        if isinstance(what, str):
            label = what
            found = [
                Member(self.name(at), at)
                for at, each in enumerate(tensors)
                if each.kind == "parameter" and (each.owner == what or _in(what, each.name or ""))
            ]
        else:
            found = [self._member(name, tensor) for name, tensor in _parameters(what)]
            owners = {tensors[each.place].owner for each in found if each.place is not None}
            label = (owners.pop() if len(owners) == 1 else None) or type(what).__name__
        if not found:
            known = dict.fromkeys(each.owner for each in tensors if each.owner)
            self._unknown(message("assertions.no_parameter", module=label), list(known))
        return label, found

    def reaches(self, loss: str, member: Member) -> bool:
        """Whether a backward of `loss` wrote into its gradient, as far as that was seen."""
        events = self.trace.events
        if any(
            isinstance(each, Backward) and each.loss == loss and member.place in each.reached
            for each in events
        ):
            return True
        # Parameters that no optimizer holds are only seen as leaves of inspected graphs.
        for leaf in self._live.leads_to(loss):
            place = self._live.parameter(leaf)
            if leaf is member.tensor or (place is not None and place == member.place):
                return True
        return False

    def name(self, place: int) -> str:
        return self.trace.tensors[place].name or f"parameter {place}"

    def fail(
        self, claim: str, evidence: list[str], stories: Iterable[RenderableType] = ()
    ) -> NoReturn:
        """Raise the AssertionError: the claim, the evidence, what was found, the ledger."""
        __tracebackhide__ = True
        if len(evidence) > SHOWN:
            evidence = [
                *evidence[:SHOWN],
                say("report.story.and_more", count=len(evidence) - SHOWN),
            ]
        head = "\n".join([told(claim), *(f"  {told(each)}" for each in evidence)])
        parts: list[RenderableType] = []
        for each in stories or map(headline, self.findings()):
            parts.extend((Text(), each))
        if self.trace.optimizers:
            parts.extend((Text(), Ledger(self.trace)))
        notices = [f"{say('report.notice')} {told(line)}" for line in self.trace.unseen]
        parts.extend(Text(line, overflow="fold") for line in notices)
        error = AssertionError(f"{visible(head)}\n{text(*parts, width=WIDTH)}".rstrip())
        # For the pytest plugin, so that it does not show the findings a second time.
        vars(error)[HAS_STORIES] = bool(stories)
        vars(error)[CLAIM] = claim, tuple(evidence)
        raise error

    def _member(self, name: str, tensor: Any) -> Member:
        at = self._live.parameter(tensor)
        if at is not None and at < len(self.trace.tensors):
            return Member(self.trace.tensors[at].name or name, at, tensor)
        return Member(name, None, tensor)

    def _unknown(self, claim: str, known: list[str]) -> NoReturn:
        __tracebackhide__ = True
        names = ", ".join(known) or message("assertions.none")
        self.fail(claim, [message("assertions.seen", names=names)])


def _parameters(what: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(what, "named_parameters"):
        yield from what.named_parameters()
    elif hasattr(what, "grad_fn"):
        yield "the parameter", what
    elif isinstance(what, Iterable) and not isinstance(what, str):
        for each in what:
            yield from _parameters(each)
    else:
        raise TypeError(f"{_short(what)} is neither a module, a parameter nor the name of one")


def _in(what: str, name: str) -> bool:
    return name == what or name.startswith((f"{what}.", f"{what}["))


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."

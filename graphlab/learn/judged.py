"""Checks the assertions of an exercise's header against a program that has run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from graphlab.api.assertions import Assertions
from graphlab.api.evidence import CLAIM
from graphlab.language import message
from graphlab.learn.claims import Claim
from graphlab.learn.silencers import silencers
from graphlab.observe.live_objects import LiveObjects
from graphlab.observe.observation import Observation
from graphlab.trace.model import Trace


class Judged(Assertions):
    """The assertions of a session about a program that has run."""

    def __init__(self, observation: Observation, source: str, variables: dict[str, Any]) -> None:
        self._observation = observation
        self.source = source
        self.variables = variables

    @property
    def trace(self) -> Trace:
        return self._observation.trace

    @property
    def _live(self) -> LiveObjects:
        return self._observation.live_objects

    def why_not(self, claim: Claim) -> tuple[str, tuple[str, ...]] | None:
        """What was seen instead, and evidence in lines; None where the claim holds."""
        try:
            _CHECKS[claim.kind](self, **claim.words)
        except AssertionError as error:
            said, evidence = getattr(error, CLAIM, (str(error), ()))
            return said, tuple(evidence)
        return None

    def fail(self, key: str, **words: Any) -> None:
        error = AssertionError(said := message(f"learn.why.{key}", **words))
        setattr(error, CLAIM, (said, ()))
        raise error

    def steps(self, optimizer: str, count: str) -> None:
        made = {each.name: each.steps for each in self.trace.optimizers}
        if made.get(optimizer, 0) < int(count):
            self.fail("steps", optimizer=optimizer, count=made.get(optimizer, 0), least=int(count))

    def ends_below(self, name: str, number: str) -> None:
        value: Any = self.variables.get(name)
        # Only what can be read without running code of the program's.
        if type(value).__module__ == "torch" and value.numel() == 1:
            value = value.detach().item()
        if type(value) not in (int, float):
            self.fail("no_number", name=name)
        elif not value < float(number):
            self.fail("ends_below", name=name, value=f"{value:.3g}", number=number)

    def unused(self, writing: str) -> None:
        found = [each for each in silencers(self.source) if each.name == writing]
        if found:
            self.fail("unused", writing=writing, line=found[0].line)


def _split(names: str) -> list[str]:
    return re.split(r", | and ", names)


_CHECKS: dict[str, Callable[..., None]] = {
    "isolated": lambda seen, optimizer, losses: seen.assert_isolated(optimizer, *_split(losses)),
    "touches": lambda seen, optimizer, modules: seen.assert_touches(optimizer, *_split(modules)),
    "touches_only": lambda seen, optimizer, modules: seen.assert_touches_only(
        optimizer, *_split(modules)
    ),
    "steps": Judged.steps,
    "reaches": lambda seen, loss, modules: seen.assert_reaches(loss, *_split(modules)),
    "not_reaches": lambda seen, loss, modules: seen.assert_not_reaches(loss, *_split(modules)),
    "constant": lambda seen: seen.assert_graph_constant(),
    "no_waste": lambda seen: seen.assert_no_wasted_gradients(),
    "finite": lambda seen: seen.assert_finite(),
    "ends_below": Judged.ends_below,
    "unused": Judged.unused,
}

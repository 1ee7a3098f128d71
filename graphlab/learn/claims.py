"""The assertions of an exercise's header, as sentences: how they are read, told and checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphlab.api.assertions import Assertions
from graphlab.api.evidence import CLAIM
from graphlab.errors import UserError
from graphlab.language import message, say
from graphlab.learn.silencers import SILENCERS, silencers
from graphlab.observe.live_objects import LiveObjects
from graphlab.observe.observation import Observation
from graphlab.text import suggestion
from graphlab.trace.model import Trace

# What stands for a word of a sentence: a dotted name, or several with commas and "and".
_NAME = r"[A-Za-z_][\w.\[\]]*"
_NAMES = rf"{_NAME}(?:, {_NAME})*(?: and {_NAME})?"
_WORDS = {"optimizer": _NAME, "loss": _NAME, "losses": _NAMES, "modules": _NAMES, "name": _NAME,
          "count": r"\d+", "number": r"-?\d+(?:\.\d+)?", "writing": r".+"}  # fmt: skip

# The sentences. Those of `_CHECKS` below have the same names.
FORMS = {
    "isolated": "{optimizer} applies the gradient of {losses} alone",
    "touches": "{optimizer} changes {modules}",
    "touches_only": "{optimizer} changes only {modules}",
    "steps": "{optimizer} makes {count} steps",
    "reaches": "{loss} reaches {modules}",
    "not_reaches": "{loss} does not reach {modules}",
    "constant": "the graph stays the same size",
    "no_waste": "no gradient is wasted",
    "finite": "every number is finite",
    "ends_below": "{name} ends below {number}",
    "unused": "{writing} is not used",
}


def _pattern(form: str) -> re.Pattern[str]:
    made = re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{m[1]}>{_WORDS[m[1]]})", re.escape(form))
    return re.compile(made)


_PATTERNS = {kind: _pattern(form) for kind, form in FORMS.items()}


@dataclass(frozen=True, slots=True)
class Claim:
    """One assertion: the sentence as it was written, its form, and the words in it."""

    text: str
    kind: str
    words: Mapping[str, str]

    def told(self) -> str:
        """The sentence in the language of the process."""
        return say(f"learn.claim.{self.kind}", **self.words)


def claim(text: str, path: Path) -> Claim:
    """Reads a sentence. "changes only" comes before "changes": names hold no blank.

    Raises:
        UserError: for a sentence that has none of the forms.
    """
    for kind, pattern in _PATTERNS.items():
        match = pattern.fullmatch(text)
        known = match is not None and (kind != "unused" or match["writing"] in SILENCERS)
        if match is not None and known:
            return Claim(text, kind, match.groupdict())
    near = suggestion(text, [*FORMS.values()], "docs/teaching.md lists the sentences")
    raise UserError(f"{path} asserts what cannot be read: {text}", near)


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

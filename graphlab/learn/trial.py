"""Runs one exercise under observation and checks its assertions, in this very process."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.errors import Unreported, UserError
from graphlab.learn.claims import Claim
from graphlab.trace.model import Trace


@dataclass(frozen=True, slots=True)
class Held:
    """What became of an assertion. why: what was seen instead, and evidence in lines; both are
    messages where they can be told in other languages. Empty where it holds."""

    claim: Claim
    why: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """A run that came to an end. refused: why the file could not be run, and what to do; then
    there is no trace."""

    trace: Trace | None = None
    exit_code: int = 0
    held: tuple[Held, ...] = ()
    refused: tuple[str, str] | None = None


def tried(path: str, claims: tuple[Claim, ...], name: str) -> Tried:
    """Run the script at `path` and check the claims. What it prints goes where it would go."""
    from graphlab.learn.judged import Judged
    from graphlab.observe import program
    from graphlab.observe.observation import Observation

    begun: list[Observation] = []
    try:
        what = program.script(path)
        ran = program.run(what, [], name, begun.append)
    except (UserError, Unreported) as error:
        return Tried(refused=(str(error), getattr(error, "help", "")))
    with open(path, encoding="utf-8", errors="replace") as file:
        judged = Judged(begun[0], file.read(), ran.variables)
    held = []
    for each in claims:
        why = judged.why_not(each)
        held.append(Held(each) if why is None else Held(each, *why))
    return Tried(ran.trace, ran.exit_code, tuple(held))

"""What was seen of the steps of optimizers: what they applied, and at what rate."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.trace.values import Count, Location, OptimizerAt


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the gradients of the first backwards at one line.

    holders: the optimizers of the parameters that they reached. applied: how many backwards had
    gradients that a step applied. discarded: how many had only gradients that were cleared before
    any step. least_between: the fewest of these between one that was applied and the next. cleared,
    cleared_by: the one call that cleared them; it also `clears_applied` ones, or would have, as it
    runs before every one of these backwards.

    window: how many backwards each step takes, where these are several and the same each time;
    left: how many were left over, fewer than that, `times` times, when the call at `left_at`
    cleared them; of `all` backwards that were seen.

    rarer: these are the gradients of one optimizer that steps more rarely than others that they are
    for.
    """

    at: Location | None
    call: str
    holders: tuple[OptimizerAt, ...]
    backwards: Count
    applied: Count
    discarded: Count
    least_between: Count = 0
    cleared: Location | None = None
    cleared_by: str = ""
    clears_applied: bool = False
    window: Count = 0
    left: Count = 0
    times: Count = 0
    all: Count = 0
    left_at: Location | None = None
    rarer: bool = False


@dataclass(frozen=True, slots=True)
class SteppedPast:
    """`wrapper`, a variable, wraps `optimizer` and is never stepped, while that one is, at `at`."""

    at: Location | None
    optimizer: OptimizerAt
    wrapper: str


@dataclass(frozen=True, slots=True)
class ScheduleOff:
    """A scheduler, last stepped at `at`, whose optimizer took `steps`: it was `planned` for as many
    and stepped `count` times; or its rate was gone after `gone` of them, when it was `rate`: by a
    factor of 0 if `zeroed`; or it was stepped before the optimizer each time (`early`), so that
    `rate`, its first one, was never used; or it goes down in `epochs` steps, which is how often the
    loop over epochs runs, and was stepped `count` times, so that its rate came back up; or it was
    built at `at` and is `never` stepped, or what is `named` there is not called. plan: a library
    steps it, and `at` is where it was built. loss: it was built at `at` to lower the rate where a
    number stops to rise, and each of `count` times it was given this, a loss. unset: it has no
    scheduler, its rate is 0, and the function `named`, the only one that sets a rate, was not
    called."""

    at: Location | None
    optimizer: OptimizerAt
    steps: Count
    planned: Count = 0
    count: Count = 0
    gone: Count = 0
    rate: str = ""
    zeroed: bool = False
    early: bool = False
    epochs: Count = 0
    never: bool = False
    named: str = ""
    plan: bool = False
    loss: str = ""
    unset: bool = False


@dataclass(frozen=True, slots=True)
class AskedOfInput:
    """A backward at `at` that stands where the gradient of `leaf`, an input, is read: in the
    innermost loop or function, which goes from the line `first` to `last` and steps nothing."""

    at: Location
    leaf: str
    first: Count
    last: Count

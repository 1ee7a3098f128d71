"""Which of many calls of a kind are looked at closely: after the first ones, fewer and fewer."""

from __future__ import annotations

# Primes, so that a loop that takes turns among a few kinds of step is not always sampled at the
# same one. After MANY calls a program has most likely shown what it does.
EVERY, SELDOM, MANY = 61, 307, 244


def sampled(count: int) -> bool:
    """Whether the call number `count` is one of them."""
    return count % (EVERY if count <= MANY else SELDOM) == 0

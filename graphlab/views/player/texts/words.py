"""Words that several parts of the player use: lists, and what a set of parameters is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graphlab.language import say

if TYPE_CHECKING:
    from graphlab.views.player.timeline import Timeline


def listing(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, in the current language."""
    if len(names) < 2:
        return "".join(names)
    return say("player.words.and", most=", ".join(names[:-1]), last=names[-1])


def tally(timeline: Timeline, tensors: Iterable[int]) -> str:
    """The tensors by owner, such as ``6 parameters of D and 6 of G``; one tensor by its name."""
    known = list(tensors)
    if len(known) == 1:
        return timeline.names[known[0]]
    return tally_of((timeline.film.tensors[each].owner, timeline.names[each]) for each in known)


def tally_of(tensors: Iterable[tuple[str | None, str]]) -> str:
    """How many parameters of which owners, and those without one by their names, from pairs of
    (owner, name); empty for none."""
    pairs = list(tensors)
    # A parameter that is a variable of its own is its own owner.
    counts = Counter(owner for owner, name in pairs if owner not in (None, name))
    words = [
        say(f"player.words.{'more' if at else 'parameters'}", owner=owner, count=count)
        for at, (owner, count) in enumerate(counts.items())
    ]
    return listing(words + [name for owner, name in pairs if owner in (None, name)])

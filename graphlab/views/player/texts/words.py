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
    return tally_of(timeline.film.tensors[each].owner or timeline.names[each] for each in known)


def tally_of(owners: Iterable[str]) -> str:
    """How many parameters of which owners; empty for none."""
    first, *others = Counter(owners).items() or [("", 0)]
    if not first[1]:
        return ""
    words = [say("player.words.parameters", owner=first[0], count=first[1])]
    words += [say("player.words.more", owner=owner, count=count) for owner, count in others]
    return listing(words)

"""What only the traces of several ranks side by side show, as sightings of each of them."""

from __future__ import annotations

from graphlab.trace.joint import Joint


def compared(joint: Joint) -> Joint:
    """The same traces with what was seen of their differences."""
    return joint

"""Which rank this process is, by the environment that torchrun and its like set."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Placement:
    """One rank of `world`. local_world: how many of them run on this machine."""

    rank: int
    world: int
    local_world: int


# What is known of this process by who has started it, where no variables say so.
_assumed: list[Placement] = []


def assume(place: Placement) -> None:
    """This process is that rank: the program has started it so itself."""
    _assumed[:] = [place]


def placement(environ: Mapping[str, str] = os.environ) -> Placement | None:
    """This process's, None where it is the only one, or no launcher has started it."""
    if _assumed:
        return _assumed[0]
    if not ("TORCHELASTIC_RUN_ID" in environ or "MASTER_ADDR" in environ):
        return None
    rank, world = _number(environ, "RANK"), _number(environ, "WORLD_SIZE")
    if rank is None or world is None or world < 2 or not rank < world:
        return None
    local = _number(environ, "LOCAL_WORLD_SIZE") or world
    return Placement(rank, world, min(local, world))


def placed() -> dict[str, Any]:
    """The fields of an Environment that say which rank this is; none for a single process."""
    place = placement()
    if place is None:
        return {}
    return {"rank": place.rank, "world": place.world, "host": socket.gethostname()}


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else None

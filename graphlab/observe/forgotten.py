"""Parameters of the program's modules that backward reaches and no optimizer has."""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

from graphlab.observe.log import Log, RawBackward, RawWrite, Spot
from graphlab.observe.names import Names
from graphlab.observe.source import UserFiles
from graphlab.observe.storage import storage_key


class Reached:
    """Leaves seen under a loss, with their names and owner, while their module is at hand."""

    def __init__(self, log: Log, files: UserFiles) -> None:
        self._log = log
        self._files = files
        self.leaves: dict[int, tuple[weakref.ref[Any], RawBackward, int, str, bool]] = {}

    def look(self, record: RawBackward, nodes: list[Any], frame: FrameType, index_of: Any) -> None:
        """Note the parameters that a backward is about to reach."""
        unknown = []
        for node in nodes:
            leaf = getattr(node, "variable", None)
            if leaf is not None and id(leaf) not in self.leaves:
                unknown.append(leaf)
        if not unknown or record.is_grad:
            return
        names = Names(self._files).gather(frame)
        for leaf in unknown:
            named = names.tensors.get(id(leaf))
            if named is not None and named.kind == "parameter" and "." in named.name:
                index = index_of(leaf, names)
                owner = named.owner or ""
                self.leaves[id(leaf)] = (weakref.ref(leaf), record, index, owner, "[" in named.name)

    def forgotten(self, owned: dict[int, Spot | None]) -> list[tuple[int, RawBackward]]:
        """(place, backward) of the leaves outside `owned`, the parameters of all optimizers.

        A network that is mostly left out is left out on purpose (a frozen backbone, a loss
        network); so is a parameter that the program writes by hand.
        """
        # The last write by hand to each storage: an initialisation comes before the backward.
        written = {
            tensor[0]: event.seq
            for event in self._log.events
            if isinstance(event, RawWrite) and event.optimizer is None
            for tensor in event.tensors
        }
        # In a plain list a module is out of its parent's parameters(), and nobody means that.
        listed = {each[2] for each in self.leaves.values() if each[4]}
        missing: dict[str, list[tuple[int, RawBackward]]] = {}
        held: dict[str, int] = {}
        for key, (ref, record, index, owner, _) in self.leaves.items():
            leaf = ref()
            if key in owned:
                held[owner] = held.get(owner, 0) + 1
                continue
            by_hand = leaf is not None and (
                not leaf.requires_grad or written.get(storage_key(leaf) or 0, -1) >= record.seq
            )
            if not by_hand:
                missing.setdefault(owner, []).append((index, record))
        return [
            each
            for owner, found in missing.items()
            if held.get(owner, 0) >= len(found) or any(at in listed for at, _ in found)
            for each in found
        ]

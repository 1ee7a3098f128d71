"""Finds parameters of modules that backward reaches and no optimizer holds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward, RawWrite
from graphlab.observe.tensors import Ref, requires_grad, storage_key
from graphlab.source.files import UserFiles


@dataclass(frozen=True, slots=True)
class ReachedParameter:
    """A parameter that a loss leads to. `listed`: its module is in a plain Python list, and so not
    in the parent's parameters()."""

    ref: Ref
    record: RawBackward
    index: int
    owner: str
    listed: bool
    training: bool


class ReachedParameters:
    """The parameters that losses lead to, named while their module can still be found."""

    def __init__(self, log: Log, files: UserFiles) -> None:
        self._log = log
        self._files = files
        self.leaves: dict[int, ReachedParameter] = {}

    def inspect(
        self, record: RawBackward, nodes: list[Any], frame: FrameType, index_of: Any
    ) -> None:
        """Note the parameters that a backward is about to reach."""
        unknown = []
        for node in nodes:
            leaf = leaf_of(node)
            if leaf is not None and id(leaf) not in self.leaves:
                unknown.append(leaf)
        if not unknown or record.is_grad:
            return
        names = Names(self._files).gather(frame)
        for leaf in unknown:
            named = names.tensors.get(id(leaf))
            if named is not None and named.kind == "parameter" and "." in named.name:
                self.leaves[id(leaf)] = ReachedParameter(
                    Ref(leaf),
                    record,
                    index_of(leaf, names),
                    named.owner or "",
                    "[" in named.name,
                    id(leaf) in names.training,
                )

    def unowned(self, owned: Collection[int]) -> list[ReachedParameter]:
        """The leaves outside `owned`, the identities of all that any optimizer holds.

        A network that is mostly left out is left out on purpose (a frozen backbone), and so is
        one in eval mode (a loss network) and a parameter that the program writes by hand.
        """
        # The last write by hand to each storage: an initialisation comes before the backward.
        written = {
            tensor[0]: event.seq
            for event in self._log.events
            if isinstance(event, RawWrite) and event.optimizer is None
            for tensor in event.tensors
        }
        missing: dict[str, list[ReachedParameter]] = {}
        held: dict[str, int] = {}
        for key, leaf in self.leaves.items():
            if key in owned:
                held[leaf.owner] = held.get(leaf.owner, 0) + 1
                continue
            tensor = leaf.ref()
            by_hand = tensor is not None and (
                not requires_grad(tensor)
                or written.get(storage_key(tensor) or 0, -1) >= leaf.record.seq
            )
            if not by_hand:
                missing.setdefault(leaf.owner, []).append(leaf)
        if not held:
            return []
        found = []
        for owner, leaves in missing.items():
            whole = owner not in held and all(leaf.training for leaf in leaves)
            part = held.get(owner, 0) >= len(leaves)
            found += [leaf for leaf in leaves if whole or part or leaf.listed]
        return found

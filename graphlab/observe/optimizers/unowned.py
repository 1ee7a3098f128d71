"""Finds parameters of modules that backward reaches and no optimizer holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, listed
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward, RawStep, RawWrite, Spot, located
from graphlab.observe.optimizers.gradients.passing import PassingParameters
from graphlab.observe.optimizers.left_out.held import gathered, name_what_libraries_hold
from graphlab.observe.optimizers.left_out.late import Since
from graphlab.observe.optimizers.loose import LooseLeaves, making, registered
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.tensors import (
    Ref,
    byte_span,
    is_parameter,
    is_tensor,
    requires_grad,
    storage_key,
)
from graphlab.source.effects.origins import stores_of_attribute
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes
from graphlab.trace.model import Location

# How many parameters must have had one name for it to be made again and again, and how many of a
# line's backwards must have gone past one that comes late.
TIMES, PAST = 3, 3
# Parameters whose values are noted, to see whether the program steps them itself.
SAMPLES = 256


@dataclass(frozen=True, slots=True)
class ReachedParameter:
    """A parameter that a loss leads to. `listed`: its module is in a plain Python list, and so not
    in the parent's parameters(); made: the line that made that list, added: the one that put it
    there. hidden: the list's name begins with an underscore. mates: what else was reached at the
    same time. end: its last byte in its storage, and one more."""

    ref: Ref
    storage: int | None
    record: RawBackward
    index: int
    name: str
    owner: str
    listed: bool
    training: bool
    sample: Sample | None
    mates: tuple[int, ...]
    made: Location | None = None
    added: Location | None = None
    hidden: bool = False
    anew: Location | None = None
    late: bool = False
    end: int = 0


@dataclass(frozen=True, slots=True)
class Unowned:
    """A parameter in no optimizer. built: the optimizer that holds what was reached with it.
    meant: it may have been left out on purpose. since: why that optimizer has not got it; `added`
    is the line of that."""

    index: int
    record: RawBackward
    built: Spot | None
    made: Location | None
    added: Location | None = None
    anew: bool = False
    meant: bool = False
    since: Since = ""


class ReachedParameters:
    """The parameters that losses lead to, named while their module can still be found."""

    def __init__(self, log: Log, files: UserFiles, registry: OptimizerRegistry) -> None:
        self._log = log
        self._files = files
        self._steps, self._late = registry.taken, registry.late
        # The steps at each line's first backward, and the lines that had one more after another.
        self._first: dict[Spot | None, int] = {}
        self._trained: set[Spot | None] = set()
        self.leaves: dict[int, ReachedParameter] = {}
        # The identities of those that have had a name, one after the other.
        self._bearers: dict[str, list[int]] = {}
        self._inspected: Counter[Spot | None] = Counter()
        self.loose, self._passing = LooseLeaves(files), PassingParameters(log)

    def inspect(
        self, record: RawBackward, nodes: list[Any], frame: FrameType, index_of: Any
    ) -> None:
        """Note the parameters that a backward is about to reach."""
        if record.is_grad:
            for each in listed(frame.f_locals.get("inputs")):
                if is_tensor(each):
                    self.loose.asked[id(each)] = Ref(each)
            return
        if self._first.setdefault(record.spot, self._steps()) < self._steps():
            self._trained.add(record.spot)
        late = self._inspected[record.spot] >= PAST
        self._inspected[record.spot] += 1
        reached = [leaf for node in nodes if (leaf := leaf_of(node)) is not None]
        self.loose.note(reached)
        unknown = [
            leaf
            for leaf in reached
            if id(leaf) not in self.loose.leaves
            and ((known := self.leaves.get(id(leaf))) is None or known.ref() is not leaf)
        ]
        if not unknown:
            return
        mates = tuple(map(id, reached))
        names = Names(self._files).gather(frame)
        if any(is_parameter(leaf) and id(leaf) not in names.tensors for leaf in unknown):
            name_what_libraries_hold(names, frame, self._files)
        of_modules = registered(names)
        free = []
        for leaf in unknown:
            named = names.tensors.get(id(leaf))
            if id(leaf) not in of_modules or named is None:
                free.append(leaf)
            elif gathered(named.name, names):
                continue
            elif named.kind == "parameter" and "." in named.name:
                bearers = self._bearers.setdefault(named.name, [])
                bearers.append(id(leaf))
                self._late.reached(leaf, named.name, names, frame, self._files, self._log)
                self.leaves[id(leaf)] = ReachedParameter(
                    Ref(leaf),
                    storage_key(leaf),
                    record,
                    index_of(leaf, names),
                    named.name,
                    named.owner or "",
                    "[" in named.name,
                    id(leaf) in names.training,
                    Sample(leaf) if len(self.leaves) < SAMPLES else None,
                    mates,
                    *self._list_lines(named.name, names),
                    "._" in named.name.partition("[")[0],
                    self._made_in_use(named.name, names) if len(bearers) >= TIMES else None,
                    late and len(bearers) == 1,
                    byte_span(leaf)[1],
                )
        self.loose.add(free, record, nodes, names, frame, mates, index_of)
        nameless = [p for p in free if is_parameter(p) and id(p) not in self.loose.leaves]
        if nameless:
            self._passing.note(nameless, record, nodes, names, mates, index_of)

    def _list_lines(self, name: str, names: Names) -> tuple[Location | None, Location | None]:
        """The line that made the plain list, an attribute of a module, that a module is in, and the
        one that put that there."""
        outer, bracket, _ = name.partition("[")
        holder, _, attribute = outer.rpartition(".")
        for module in names.held_modules() if bracket else ():
            if names.modules[id(module)] == holder and attribute in attributes(module):
                found = stores_of_attribute(module, attribute, self._files)
                added = {each.at: None for each in found if each.adds}
                return making(found), next(iter(added)) if len(added) == 1 else None
        return None, None

    def _made_in_use(self, name: str, names: Names) -> Location | None:
        """The one line, in a method other than the constructor, that makes the parameter `name` or
        a module that it is in."""
        holder = name
        while "." in holder:
            holder, _, attribute = holder.rpartition(".")
            for module in names.held_modules():
                if names.modules[id(module)] == holder:
                    found = stores_of_attribute(module, attribute, self._files)
                    if any(each.function.endswith("__init__") for each in found):
                        return None
                    if found:
                        return making(found)
        return None

    def unowned(self, owned: Mapping[int, Spot | None], steps_frozen: bool) -> list[Unowned]:
        """What is outside `owned`: where each parameter's optimizer was built, by the identities of
        all that any optimizer holds.

        A network that is mostly left out may be so on purpose (a backbone), and gets its gradients
        for nothing. Left out on purpose is one in eval mode (a loss network), a part in eval mode
        of one that trains, a copy that is made for one backward, one whose gradients are only asked
        for, and a parameter that the program writes by hand. So is everything where no optimizer
        holds what losses lead to, unless one steps frozen parameters alone (`steps_frozen`).
        """
        # The last write by hand to each storage, and how far it went. An initialisation comes
        # before the backward; that of what is made anew may be in memory that one before it had.
        makers = {leaf.anew for leaf in self.leaves.values() if leaf.anew is not None}
        lines = {(each.file, each.line) for each in makers}
        written = {
            tensor[0]: (event.seq, tensor[2])
            for event in self._log.events
            if isinstance(event, RawWrite) and event.optimizer is None and not event.stays()
            if not lines or _line(event.spot) not in lines
            for tensor in event.tensors
        }
        missing: dict[str, list[ReachedParameter]] = {}
        held: dict[str, int] = {}
        trains: set[str] = set()
        anew = {
            leaf.name: leaf
            for leaf in self.leaves.values()
            if leaf.anew is not None and owned.keys().isdisjoint(self._bearers[leaf.name])
        }
        for key, leaf in self.leaves.items():
            if key in owned:
                held[leaf.owner] = held.get(leaf.owner, 0) + 1
                if leaf.training:
                    trains.add(leaf.owner)
                continue
            tensor = leaf.ref()
            # What is gone by now was written where it was, if no larger tensor has that place.
            where = leaf.storage if tensor is None else storage_key(tensor)
            seq, end = written.get(where or 0, (-1, 0))
            by_hand = seq >= leaf.record.seq and (tensor is not None or end <= leaf.end)
            if tensor is not None:
                # cpu() and to() write as well, and change nothing.
                same = leaf.sample is not None and leaf.sample.same(tensor)
                by_hand = not requires_grad(tensor) or (by_hand and not same)
            if by_hand:
                anew.pop(leaf.name, None)
            elif leaf.name not in anew:
                missing.setdefault(leaf.owner, []).append(leaf)
        found: list[ReachedParameter] = []
        meant: list[ReachedParameter] = []
        stepped = {each.spot for each in self._log.events if type(each) is RawStep} - {None}
        for owner, leaves in missing.items() if held or steps_frozen else ():
            whole = owner not in held and all(
                leaf.training and not self._for_one_backward(leaf) and self._is_trained(leaf, owned)
                for leaf in leaves
            )
            asleep = owner in trains and not any(leaf.training for leaf in leaves)
            part = held.get(owner, 0) >= len(leaves) and not asleep
            # What was frozen at first and is trained now was not left out on purpose.
            thawed = owner in held and all(leaf.late and leaf.training for leaf in leaves)
            # Nobody chose a part where a library builds the optimizers in the call that steps.
            unchosen = all(
                leaf.training and _built(leaf.mates, owned) in stepped for leaf in leaves
            )
            # A private list may keep a network from parameters() on purpose.
            mine = [
                leaf
                for leaf in leaves
                if whole
                or part
                or thawed
                or unchosen
                or (leaf.listed and (leaf.training or not leaf.hidden))
            ]
            found += mine
            if (
                not mine
                and owner in held
                and all(
                    leaf.training
                    and not self._for_one_backward(leaf)
                    and self._is_trained(leaf, owned)
                    for leaf in leaves
                )
            ):
                meant += leaves
        keys = {id(leaf): key for key, leaf in self.leaves.items()}
        told = [self._told(keys[id(each)], each, owned) for each in found]
        told += [
            Unowned(each.index, each.record, _built(each.mates, owned), None, meant=True)
            for each in meant
        ]
        told += [
            Unowned(each.index, each.record, _built(each.mates, owned), each.anew, anew=True)
            for each in anew.values()
            if each.owner in held
        ]
        return [*told, *self._loose(owned)]

    def _told(self, key: int, leaf: ReachedParameter, owned: Mapping[int, Spot | None]) -> Unowned:
        built = _built(leaf.mates, owned)
        since, at = self._late.since(key, built) if leaf.made is None else ("", None)
        added = leaf.added if not since else at
        return Unowned(leaf.index, leaf.record, built, leaf.made, added, since=since)

    def _for_one_backward(self, leaf: ReachedParameter) -> bool:
        """Whether each backward meets another parameter by its name: that of a copy of a network
        which one turn makes and drops, as meta-learning does."""
        count = len(self._bearers[leaf.name])
        return count >= max(TIMES, self._inspected[leaf.record.spot])

    def _is_trained(self, leaf: ReachedParameter, owned: Mapping[int, Spot | None]) -> bool:
        """Whether the backward that led to it led to a trained one too, or came again after an
        optimizer's step. One that does neither is asked for gradients alone."""
        return leaf.record.spot in self._trained or not owned.keys().isdisjoint(leaf.mates)

    def _loose(self, owned: Mapping[int, Spot | None]) -> Iterator[Unowned]:
        for each in self.loose.forgotten(owned):
            yield Unowned(each.index, each.record, _built(each.mates, owned), each.made)
        for each in self._passing.forgotten(owned):
            yield Unowned(each.index, each.record, _built(each.mates, owned), each.made, anew=True)


def _line(spot: Spot | None) -> tuple[str, int] | None:
    at = located(spot)
    return (at.file, at.line) if at is not None else None


def _built(mates: tuple[int, ...], owned: Mapping[int, Spot | None]) -> Spot | None:
    """Where the optimizer was built that holds the most of what was reached together."""
    counts = Counter(spot for mate in mates if (spot := owned.get(mate)) is not None)
    return counts.most_common(1)[0][0] if counts else None

"""Notices a moving average of a network whose weights follow and whose norm statistics do not, and
one that is written into the network itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any

from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, RawWrite, Spot, located
from graphlab.observe.optimizers.vectors import Sample, dense
from graphlab.observe.sightings.state.modes import NORMS
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Ref,
    Unnoticed,
    count_of,
    grad_of,
    is_tensor,
    readable,
    requires_grad,
    shape_of,
    storage_key,
    version_of,
)
from graphlab.source.effects.mixing import mixed_at
from graphlab.source.effects.origins import loaded_files
from graphlab.source.files import UserFiles, user_frames
from graphlab.source.objects import attribute, attributes, class_name, is_a
from graphlab.source.places import parse, place
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import AveragedInto, StatisticsLeft

# At how many backwards all of it must have been so, how many modules are looked at, and among how
# many of the last events.
ENOUGH, MOST, BACK = 4, 256, 4096
# How far weights may have gone from an average of theirs, in parts of its norm: two networks that
# began for themselves are farther apart than either is from zero.
FAR = 0.7
# What the name of an average, or of the function that writes it, has among its words.
_AVERAGES = frozenset({
    "ema", "emas", "avg", "average", "averaged", "averages", "averaging", "shadow", "momentum",
    "polyak", "swa", "soft",
})  # fmt: skip


@dataclass(slots=True)
class Follower:
    """A frozen module in eval mode that has the layers of `leader`, which is trained. weight,
    statistics: values of its first parameter and of its norm layers' means. count: how often the
    norm layers of the leader have added to theirs. given: its own statistics have changed."""

    ref: Ref
    leader: Ref
    weight: Sample
    statistics: list[Sample]
    count: int
    seen: int = 0
    given: bool = False


class Averages:
    """Looks, at inspected backwards, at the modules that the program calls."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, Follower] = {}
        self._after: Any = None
        self._found: dict[int, StatisticsLeft] = {}

    def found(self) -> Iterator[StatisticsLeft]:
        yield from self._found.values()

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        events = self._watched.log.events
        since, self._after = self._after, events[-1] if events else None
        if record.is_grad or not any(map(_in_eval_mode, self._modules())):
            return
        called = self._called(since)
        if len(called) > MOST:
            return
        followers = [each for each in called if _follows(each)]
        for module in followers:
            known = self._known.get(id(module))
            if known is None or known.ref() is not module:
                leader = _leader(module, called)
                if leader is not None:
                    self._known[id(module)] = Follower(
                        Ref(module), Ref(leader), Sample(parameters_in(module)[0]),
                        [*map(Sample, _means(module))], _count(leader),
                    )  # fmt: skip
                continue
            self._look(known, module, frame)

    def _modules(self) -> Iterator[Any]:
        """Those that the program has called and that are alive."""
        for ref in self._watched.log.modules.values():
            module = ref()
            if module is not None:
                yield module

    def _called(self, since: Any) -> list[Any]:
        return _called(self._watched.log, since)

    def _look(self, known: Follower, module: Any, frame: FrameType) -> None:
        leader = known.leader()
        if leader is None:
            return
        weight, means, count = parameters_in(module)[0], _means(module), _count(leader)
        pairs = zip(known.statistics, means, strict=False)
        left = len(means) == len(known.statistics) and all(a.same(b) for a, b in pairs)
        moved = not known.weight.same(weight) and count != known.count
        known.weight, known.count = Sample(weight), count
        known.given = known.given or not left
        known.seen += moved
        if known.given:
            # They may come from time to time.
            self._found.pop(id(module), None)
        elif known.seen == ENOUGH:
            names = Names(self._watched.files).gather(frame).modules
            norms = [class_name(each) for _, each in submodules(module) if is_a(each, NORMS)]
            update = _update(self._watched.files, frame)
            self._found[id(module)] = StatisticsLeft(
                update,
                names.get(id(module), class_name(module)),
                names.get(id(leader), class_name(leader)),
                tuple(dict.fromkeys(norms)),
            )


@dataclass(slots=True)
class Still:
    """A module without gradients, the values of its parameters, and at how many backwards the same
    line, `at`, had just mixed them into those of `trained`, its like."""

    ref: Ref
    trained: Ref
    values: list[Sample]
    at: Location
    seen: int = 0


class WrongWay:
    """Looks, at inspected backwards, for a line that mixes a module's parameters into those of its
    trained twin, while nothing ever changes the module's own."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, Still] = {}
        self._after: Any = None
        self._found: dict[int, AveragedInto] = {}
        # Of each line that wrote: itself, if it mixes.
        self._lines: dict[Spot, Location | None] = {}

    def found(self) -> Iterator[AveragedInto]:
        # Of modules within each other, the outermost.
        outer: dict[Location, int] = {}
        for key, each in self._found.items():
            size, best = len(self._known[key].values), outer.get(each.at) if each.at else None
            if each.at and (best is None or size > len(self._known[best].values)):
                outer[each.at] = key
        yield from (self._found[key] for key in outer.values())

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        log = self._watched.log
        events = log.events
        since, self._after = self._after, events[-1] if events else None
        if record.is_grad:
            return
        for each in [*self._known.values()]:
            module = each.ref()
            if module is None or not _unchanged(each, module):
                # It follows after all, or is set from time to time.
                gone = [key for key, one in self._known.items() if one is each]
                self._found.pop(gone[0], None)
                self._known = {key: one for key, one in self._known.items() if one is not each}
        mixing = self._mixing(since)
        if not mixing:
            return
        called = _called(log, since)
        if len(called) > MOST:
            return
        owned = self._watched.ledger.registry.places()
        for module in self._candidates(called, {*mixing.values()}, frame):
            parameters = parameters_in(module)
            if not parameters or any(grad_of(each) is not None for each in parameters):
                continue
            if any(id(each) in owned for each in parameters):
                # It is what an optimizer is to train, whatever keeps that from changing it.
                continue
            trained = _leader(module, called)
            at = mixing.get(storage_key(parameters_in(trained)[0])) if trained is not None else None
            if at is not None and trained is not module:
                self._note(module, trained, at, frame)

    def _candidates(
        self, called: list[Any], lines: set[Location], frame: FrameType
    ) -> Iterator[Any]:
        """What may be an average: what is called; and what is not, as an average may be called at
        the end alone, where a name says that it is one. Else the pull may be meant."""
        yield from called
        known, kinds = {*map(id, called)}, {id(type(each)) for each in called}
        names = Names(self._watched.files).gather(frame)
        said = any(_says_average(each.function) for each in lines)
        for module in names.held_modules():
            other = id(module) not in known and id(type(module)) in kinds
            if other and (said or _says_average(names.modules[id(module)])):
                yield module

    def _mixing(self, since: Any) -> dict[Any, Location]:
        """The lines that mix one tensor into another, by the storage of what they wrote."""
        found: dict[Any, Location] = {}
        for event in islice(reversed(self._watched.log.events), BACK):
            if event is since:
                break
            if isinstance(event, RawWrite) and event.optimizer is None and event.spot is not None:
                if event.spot not in self._lines:
                    at = located(event.spot)
                    mixes = at is not None and mixed_at(parse(at.file), at.line) is not None
                    self._lines[event.spot] = at if mixes else None
                at = self._lines[event.spot]
                if at is not None:
                    found.update((written[0], at) for written in event.tensors)
        return found

    def _note(self, module: Any, trained: Any, at: Location, frame: FrameType) -> None:
        known = self._known.get(id(module))
        if known is None or known.at != at or known.trained() is not trained:
            if not _began_alike(module, trained):
                return
            values = [*map(Sample, parameters_in(module))]
            known = self._known[id(module)] = Still(Ref(module), Ref(trained), values, at)
        known.seen += 1
        if known.seen >= ENOUGH - 1:
            names = Names(self._watched.files).gather(frame).modules
            self._found[id(module)] = AveragedInto(
                at,
                names.get(id(module), class_name(module)),
                names.get(id(trained), class_name(trained)),
            )


def _says_average(name: str) -> bool:
    return not _AVERAGES.isdisjoint(re.split(r"[\W_]+", name.lower()))


def _began_alike(module: Any, trained: Any) -> bool:
    """Whether the one may be a copy of the other that was taken not long ago, as an average begins;
    a network that was trained before, or for itself, has weights of its own."""
    pairs = zip(parameters_in(module), parameters_in(trained), strict=True)
    own, other = max(pairs, key=lambda pair: count_of(pair[0]))
    if not (readable(own) and readable(other)) or own.device != other.device:
        return True
    with Unnoticed():
        one, two = dense(own), dense(other)
        return bool((one - two).norm() <= FAR * one.norm())


def _unchanged(known: Still, module: Any) -> bool:
    now = parameters_in(module)
    return len(now) == len(known.values) and all(
        a.same(b) for a, b in zip(known.values, now, strict=True)
    )


def _called(log: Any, since: Any) -> list[Any]:
    """The modules that were called after the event `since`, as the log knows."""
    found: dict[int, Any] = {}
    for event in islice(reversed(log.events), BACK):
        if event is since:
            break
        ref = log.modules.get(event.module) if isinstance(event, RawModule) else None
        module = ref() if ref is not None else None
        if module is not None:
            found[id(module)] = module
    return [*found.values()]


def _in_eval_mode(module: Any) -> bool:
    return attributes(module).get("training") is False


def _follows(module: Any) -> bool:
    """Whether it is in eval mode, frozen as a whole, and has norm layers with statistics."""
    if not _in_eval_mode(module) or not _means(module):
        return False
    parameters = parameters_in(module)
    return bool(parameters) and not any(map(requires_grad, parameters))


def _leader(module: Any, called: list[Any]) -> Any:
    """The one module of its class and shapes that is trained in training mode."""
    shapes = [*map(shape_of, parameters_in(module))]
    found = [
        each
        for each in called
        if each is not module
        and type(each) is type(module)
        and attributes(each).get("training") is True
        and any(map(requires_grad, parameters_in(each)))
        and [*map(shape_of, parameters_in(each))] == shapes
    ]
    return found[0] if len(found) == 1 else None


def _means(module: Any) -> list[Any]:
    """The running means of the norm layers in a module."""
    norms = (each for _, each in submodules(module) if is_a(each, NORMS))
    return [mean for each in norms if is_tensor(mean := attribute(each, "running_mean"))]


def _count(module: Any) -> int:
    """How often the norm layers of a module have added to their statistics, by the versions of
    their counters."""
    norms = (each for _, each in submodules(module) if is_a(each, NORMS))
    counters = (attribute(each, "num_batches_tracked") for each in norms)
    return sum(version_of(each) for each in counters if is_tensor(each))


def _update(files: UserFiles, frame: FrameType) -> Location | None:
    """The one line that writes to parameters in a loop over those of two networks side by side: of
    the files that run here, or else of all that the program has loaded."""
    mine = {each.f_code.co_filename for each in user_frames(frame, files)}
    for several in (mine, loaded_files(files, frame)):
        found: dict[tuple[str, int], Location] = {}
        for file in several:
            tree = parse(file)
            for each in ast.walk(tree) if tree is not None else ():
                if isinstance(each, ast.For) and ast.unparse(each.iter).count("parameters(") == 2:
                    last = each.body[-1]
                    found[file, last.lineno] = place(last, file)
        if found:
            return next(iter(found.values())) if len(found) == 1 else None
    return None

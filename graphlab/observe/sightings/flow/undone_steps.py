"""Finds parameters whose forward writes over what each step has made of them, or of which a line
that is to put some rows back puts back all: they have the same values at every step."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, grad_of, storage_key
from graphlab.source.places import statement_at
from graphlab.trace.module_sightings import StepUndone

# At how many steps it must have been so, how many parameters of an optimizer are looked at, and
# among how many of the last events the write is searched for.
ENOUGH, MOST, BACK = 3, 64, 4096
# Up to which size a parameter is compared as a whole, where a line may leave some rows out.
WHOLE = 1 << 22


@dataclass(slots=True)
class Held:
    """A parameter, its values before a step, and at how many steps they were the same again, which
    the step before had changed."""

    ref: Ref
    before: Sample
    moved: bool = False
    seen: int = 0


class UndoneSteps:
    """Compares, at the first steps of each optimizer, values before a step with those before the
    last one. What differs once is left alone."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # By an optimizer's place; empty once all of its parameters are known to change.
        self._known: dict[int, dict[int, Held]] = {}
        self._found: dict[int, StepUndone] = {}
        # What is told if the next step finds all values of these as they are now.
        self._asked: dict[int, tuple[StepUndone, list[tuple[Ref, Any]]]] = {}
        watched.ledger.on_step.append(self._on_step)
        watched.ledger.on_stepped.append(self._on_stepped)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the steps themselves are seen."""

    def found(self) -> Iterator[StepUndone]:
        yield from self._found.values()

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        asked = self._asked.pop(state.at, None)
        if asked is not None:
            with Unnoticed():
                if all((now := ref()) is not None and now.equal(old) for ref, old in asked[1]):
                    self._found[len(self._found)] = asked[0]
            return True
        known = self._known.get(state.at)
        if known is None:
            with Unnoticed():
                fed = [each for each in parameters if grad_of(each) is not None][:MOST]
                if fed:
                    self._known[state.at] = {id(e): Held(Ref(e), Sample(e)) for e in fed}
            return False
        with Unnoticed():
            for key, each in [*known.items()]:
                tensor = each.ref()
                if tensor is None or not each.moved or not each.before.same(tensor):
                    del known[key]
                    continue
                each.moved = False
                each.seen += 1
            if known and next(iter(known.values())).seen == ENOUGH:
                self._note(state, [each.ref() for each in known.values()])
        return not self._known[state.at] and state.at not in self._asked

    def _on_stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        known = self._known.get(state.at)
        if state.at in self._asked:
            with Unnoticed():
                # A row that no step moves may be one that is left out.
                if not all(_all_rows_moved(ref(), old) for ref, old in self._asked[state.at][1]):
                    del self._asked[state.at]
        if not known:
            return known is not None and state.at not in self._asked
        with Unnoticed():
            for key, each in [*known.items()]:
                tensor = each.ref()
                each.moved = tensor is not None and not each.before.same(tensor)
                if not each.moved:
                    del known[key]
        return not known

    def _note(self, state: OptimizerState, tensors: list[Any]) -> None:
        """Where a forward has written to them since the last step."""
        self._known[state.at] = {}
        keys = {key: each for each in tensors if (key := storage_key(each)) is not None}
        readers = {id(each): each for each in tensors}
        spots: dict[Spot, list[Any]] = {}
        written: set[int] = set()
        for event in islice(reversed(self._watched.log.events), BACK):
            if not isinstance(event, RawWrite):
                continue
            if event.optimizer is not None:
                break
            reader = readers.get(event.before.reader) if event.before is not None else None
            of = [reader] if reader is not None else []
            of += [keys[one[0]] for one in event.tensors if one[0] in keys]
            for each in of:
                if id(each) not in written and event.spot is not None:
                    written.add(id(each))
                    if event.spot[0].co_name == "forward" or _rows(event.spot):
                        spots.setdefault(event.spot, []).append(each)
        place_of = self._watched.ledger.registry.place_of
        for spot, of in spots.items():
            places = tuple(sorted(place_of(each, None) for each in of))
            rows = "" if spot[0].co_name == "forward" else _rows(spot)
            found = StepUndone(located(spot), places, state.at, rows)
            if not rows:
                self._found[len(self._found)] = found
            elif all(each.numel() <= WHOLE for each in of):
                self._asked[state.at] = found, [(Ref(each), each.detach().clone()) for each in of]


def _all_rows_moved(now: Any, old: Any) -> bool:
    return (
        now is not None and now.dim() > 0 and bool((now != old).reshape(len(now), -1).any(-1).all())
    )


def _rows(spot: Spot) -> str:
    """What a line picks by, on both of its sides: ``weight[rows] = old[rows]``."""
    at = located(spot)
    node = statement_at(at.file, at.line) if at is not None else None
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
        return ""
    rows = ast.unparse(node.targets[0].slice)
    picked = {ast.unparse(e.slice) for e in ast.walk(node.value) if isinstance(e, ast.Subscript)}
    by_tensor = not isinstance(node.targets[0].slice, ast.Slice | ast.Constant | ast.Tuple)
    return rows if by_tensor and rows in picked else ""

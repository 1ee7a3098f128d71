"""Keeps the program's optimizers: their names, their parameters, and what is known of each."""

from __future__ import annotations

import ast
import weakref
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any

from graphlab.language import message
from graphlab.observe.names import Names, parameters_of, wrapped
from graphlab.observe.notes import Cut, RawStep, Spot, located
from graphlab.observe.optimizers.gradients.groups import Groups
from graphlab.observe.optimizers.gradients.parameters import Facts, Fingerprint, ParameterState
from graphlab.observe.optimizers.gradients.step_writes import StepWrites
from graphlab.observe.optimizers.left_out.late import LateParameters
from graphlab.observe.optimizers.shares import Contributions
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.price.sampling import sampled
from graphlab.observe.price.series import Series
from graphlab.observe.tensors import WeakMap
from graphlab.source.objects import class_name
from graphlab.source.places import statement_at
from graphlab.trace.model import Location, ParameterMix, TensorInfo

# So many first steps are compared by value.
FIRST = 4
# After how many steps, at first and at most, an optimizer's gradients are followed in groups again.
SOON, LATE = 2, 64
_NAMELESS = TensorInfo(None, "parameter", (), "")
# Whether that is done at all: tests compare what is found with and without.
GROUPING = True


class OptimizerState:
    """What is known of one optimizer. Parameters are given by their index in the trace."""

    def __init__(self, optimizer: Any, spot: Spot | None) -> None:
        self.ref = weakref.ref(optimizer)
        # Its index in `OptimizerRegistry.states`.
        self.at = 0
        self.class_name = class_name(optimizer)
        self.name: str | None = None
        self.spot = spot
        self.steps = 0
        # How many of its steps had a gradient that was new to it, how often its zero_grad() was
        # called, and whether a closure or a GradScaler decides when it steps.
        self.fed = 0
        self.zeroed = 0
        self.handed_on = False
        # How many steps without a new gradient were compared by value, and whether the last of them
        # moved a parameter all the same.
        self.idle = 0
        self.idle_moves = False
        # Whether the program has written to its parameters itself, after a backward.
        self.by_hand = False
        # How often a learning-rate scheduler of it has stepped, and where it did last.
        self.scheduled = 0
        self.scheduled_spot: Spot | None = None
        # Whether it had gone, without a step, when one that was built later stepped its parameters.
        self.given_up = False
        # The optimizer that steps the same parameters, at a rate that stays, while a scheduler
        # changes the rate of this one, which does not step any more.
        self.in_vain: int | None = None
        self.sampled: list[int] = []
        self.owns: dict[int, None] = {}
        self.touched: dict[int, None] = {}
        self.others: dict[int, None] = {}
        self.untouched: dict[int, str] = {}
        # Its last step that was compared by value.
        self.measured: RawStep | None = None
        self.by_parameter: tuple[ParameterMix, ...] = ()
        self.contributions: Contributions | None = None
        self.last_spot: Spot | None = None
        self.strangers: tuple[int, ...] = ()
        self.never_reached: tuple[int, ...] = ()
        # What the sequence numbers of nodes had come to at the last look, and the values, by
        # identity, of the parameters that had no gradient.
        self.looked_at = 0
        self.bare: dict[int, Sample] = {}
        # Where a loss was cut off from `never_reached`, and for how many losses that was searched.
        # If there is none: where what forward goes past was built.
        self.cut: Cut | None = None
        # How many steps it had when that was found.
        self.cut_before = 0
        self.unused: Location | None = None
        # How many steps, and new gradients, it had when all of its parameters were found frozen,
        # and what froze them; whether they were seen to be free again between two steps.
        self.frozen_since: tuple[int, int] | None = None
        self.freed = False
        self.frozen: Cut | None = None
        # The line that gave a loss without a graph its requires_grad, and the loss's name.
        self.leaf_loss: Location | None = None
        self.leaf_name = ""
        self.read = 0
        # Stepped by another thread: reading its gradients would race with that thread.
        self.elsewhere = False
        # The thread that stepped it last.
        self.thread = 0
        # Whether only its first steps are compared by value; whether steps 4, 8, 16 and so on are
        # as well.
        self.rests = False
        self.doubles = False
        # Whether its next step is one of those that are compared by value.
        self.due = True
        # Whether it was given more parameters after its first step, of which none was compared yet.
        self.grown = False
        # Those that the same calls make, and whether the last ones of them tell its names and what
        # its first steps do.
        self.series: Series | None = None
        self.alike = False
        # Its parameters' identities and states, in its own order: made anew when they change.
        self.identities: list[int] = []
        self.gradients: list[ParameterState] = []
        # Its gradients' identities and versions at the last check, and whether a change may leave
        # both as they are.
        self.fingerprint: Fingerprint = ([], [])
        self.ambiguous = True
        # Its gradients in groups, while nothing speaks against it; after how many steps they are
        # again; and how many that was when it came to it last.
        self.groups: Groups | None = None
        self.waits, self.patience = 0, SOON
        self.writes = StepWrites()
        # As the registry has them, without those that ask for no more of its steps.
        self.on_step: list[StepListener] = []
        self.on_stepped: list[StepListener] = []

    def drop(self, listener: Any) -> None:
        """Tell the object of which `listener` is a method of no more steps."""
        self.on_step = [each for each in self.on_step if _owner(each) is not listener.__self__]
        self.on_stepped = [e for e in self.on_stepped if _owner(e) is not listener.__self__]

    def group(self, places: list[int]) -> None:
        """Follow its gradients in groups, if it has long enough been none the worse for it."""
        if self.waits > 0:
            self.waits -= 1
        else:
            self.groups = Groups(self.gradients, places)

    def apart(self, wait: bool = True) -> list[ParameterState]:
        """Follow its gradients one by one, for some steps or until the next. Returns them."""
        if self.groups is not None:
            self.groups.dissolve()
            self.groups = None
            if wait:
                self.waits, self.patience = self.patience, min(2 * self.patience, LATE)
        return self.gradients

    def let_go(self) -> None:
        """It is gone, and others have told all that is kept for the end."""
        self.identities, self.gradients, self.fingerprint = [], [], ([], [])
        self.groups, self.writes = None, StepWrites()

    def facts(self) -> list[Facts]:
        """What is known of its gradients, each once, in the order of the parameters."""
        if self.groups is not None:
            return [group.facts for group in self.groups.all]
        return [each.facts for each in self.gradients]

    def stepped(self) -> None:
        self.steps += 1
        early = self.steps < FIRST and not self.alike
        later = sampled(self.steps) or (self.doubles and _doubled(self.steps)) or self.grown
        self.due = early or (not self.rests and later)
        self.grown = False

    def like_the_last(self, alike: bool) -> None:
        """It was built, perhaps as the last ones of its series were."""
        self.alike, self.due = alike, not alike


StepListener = Callable[[OptimizerState, list[Any], Spot | None], bool | None]


def _owner(method: Any) -> Any:
    return method.__self__


class OptimizerRegistry:
    """`name_parameter` gives a parameter its index in the trace."""

    def __init__(self, name_parameter: Callable[[Any, Names | None], int]) -> None:
        self.place_of = name_parameter
        # The tensor at an index in the trace; set where those are kept.
        self.info_of: Callable[[int], TensorInfo] = lambda index: _NAMELESS
        # The place of a parameter that has one already; set there as well.
        self.known_place: Callable[[Any], Any] = lambda parameter: None
        # Called with (state, its optimizer's parameters, the user's line) as a step begins or ends.
        # Methods; one that returns True asks for no more steps of that optimizer.
        self.on_step: list[StepListener] = []
        self.on_stepped: list[StepListener] = []
        self.late = LateParameters()
        self.states: list[OptimizerState] = []
        # Those that may still be alive: a program may make a new one for every task.
        self.alive: list[OptimizerState] = []
        self._by_id: dict[int, OptimizerState] = {}
        self._parameters = WeakMap()
        # The optimizers that hold a parameter, by its identity, in the order of building.
        self._held: dict[int, dict[int, Spot | None]] = {}
        # The threads that step optimizers.
        self.threads: set[int] = set()
        # Whether one parameter is held by two optimizers.
        self.overlap = False
        self._rests = False
        # Whether steps 4, 8, 16 and so on are compared by value as well.
        self.doubles = False

    left_out: str = message("observed.budget.steps")

    def measured(self) -> list[RawStep]:
        """The last step of each optimizer that was compared by value: the log may have let go of
        it."""
        return [each.measured for each in self.states if each.measured is not None]

    def rest(self) -> None:
        """Compare no more than each optimizer's first steps by value."""
        self._rests = True
        for state in self.states:
            state.rests = True

    def name_of(self, index: int) -> str:
        """The variable that holds an optimizer, by its place in `states`: else, the one that it was
        assigned to where it was built, unless several were."""
        state = self.states[index]
        if state.name:
            return state.name
        built = _assigned(state.spot)
        others = [each.name or _assigned(each.spot) for each in self.states if each is not state]
        alone = built is not None and built not in others
        return built if built is not None and alone else f"{state.class_name.lower()}_{index}"

    def name_by(self, names: Names) -> None:
        """Name the optimizers that have no name yet: one is given at the first step otherwise."""
        for state in self.states:
            if state.name is None:
                state.name = names.optimizers.get(id(state.ref()))

    def steps(self) -> int | None:
        """How many steps the program's one optimizer has taken; None where it has had several."""
        return self.states[0].steps if len(self.states) == 1 else None

    def several(self) -> bool:
        return len(self.states) > 1

    def taken(self) -> int:
        """How many steps all optimizers have taken together."""
        return sum([each.steps for each in self.states])

    def state(self, optimizer: Any, spot: Spot | None = None) -> OptimizerState:
        """The state of an optimizer, made if it is new; `spot` is where it was constructed."""
        state = self._by_id.get(id(optimizer))
        if state is None or state.ref() is not optimizer:
            optimizer = wrapped(optimizer)
            state = self._by_id.get(id(optimizer))
        if state is None or state.ref() is not optimizer:
            state = OptimizerState(optimizer, spot)
            state.at, state.rests = len(self.states), self._rests
            state.doubles = self.doubles
            state.on_step, state.on_stepped = [*self.on_step], [*self.on_stepped]
            for each in self.alive:
                # They may be about to be let go of, and the new one may hold their parameters.
                each.apart(wait=False)
            self.states.append(state)
            for each in self.alive:
                if each.alike and each.ref() is None:
                    each.let_go()
            self.alive = [each for each in self.alive if each.ref() is not None]
            self.alive.append(state)
            self._by_id[id(optimizer)] = state
        return state

    def learn(
        self,
        state: OptimizerState,
        optimizer: Any,
        names: Names,
        frame: FrameType | None = None,
    ) -> None:
        """Note the names of an optimizer and of its parameters, and that it holds them; `frame` is
        what builds it."""
        state.name = names.optimizers.get(id(optimizer)) or state.name
        if not state.steps:
            self.late.built(state.spot, names, frame)
        before = len(state.owns)
        for parameter in parameters_of(optimizer):
            state.owns[self.place_of(parameter, names)] = None
            self._held.setdefault(id(parameter), {})[state.at] = state.spot
        state.grown = state.steps > 0 and len(state.owns) > before

    def shown(self, state: OptimizerState) -> None:
        """It takes its first step: its names are as good as they get."""
        for each in self.states[: state.at] if not state.alike else ():
            gone = not each.steps and each.ref() is None
            each.given_up |= gone and not each.owns.keys().isdisjoint(state.owns)
        if state.series is not None:
            state.series.shown(state.name, tuple(map(self.info_of, state.owns)))

    def hold(self, state: OptimizerState, optimizer: Any) -> None:
        """Note that it holds its parameters, without names."""
        for parameter in parameters_of(optimizer):
            self._held.setdefault(id(parameter), {})[state.at] = state.spot

    def owned(self) -> dict[int, Spot | None]:
        """Identity of every parameter that an optimizer was ever seen to hold, and where the last
        of these was built."""
        held = {
            key: [spot for at, spot in each.items() if not self.states[at].given_up]
            for key, each in self._held.items()
        }
        return {key: spots[-1] for key, spots in held.items() if spots}

    def places(self) -> dict[int, list[int]]:
        """The optimizers, by their place in `states`, that hold a parameter, by its identity."""
        found: dict[int, list[int]] = {}
        for state in self.alive:
            optimizer = state.ref()
            for parameter in parameters_of(optimizer) if optimizer is not None else ():
                found.setdefault(id(parameter), []).append(state.at)
        return found

    def gradient(self, parameter: Any) -> ParameterState:
        """The state of a parameter's gradient, made if it is new."""
        known = self._parameters.get(parameter)
        if known is None:
            known = ParameterState()
            self._parameters.put(parameter, known)
        return known

    def known(self, parameter: Any) -> ParameterState | None:
        """The state of its gradient, where there is one already."""
        return self._parameters.get(parameter)

    def gradients_of(self, state: OptimizerState, parameters: list[Any]) -> list[ParameterState]:
        """The state of each of an optimizer's parameters, in their order: only to be read, as long
        as they are not `apart`."""
        identities = [*map(id, parameters)]
        if identities != state.identities:
            for each in self.alive:
                each.apart(wait=False)
            state.identities = identities
            state.gradients = [self.gradient(each) for each in parameters]
            state.fingerprint, state.ambiguous = ([], []), True
            everything = [each for one in self.alive for each in one.identities]
            self.overlap = len(set(everything)) < len(everything)
        return state.gradients

    def group(self, state: OptimizerState, parameters: list[Any]) -> None:
        """After a step: follow its gradients in groups, where each has one optimizer only."""
        if state.groups is None and GROUPING and parameters:
            self.gradients_of(state, parameters)
            if self.overlap:
                return
            places = [*map(self.known_place, parameters)]
            if None not in places:
                state.group(places)

    def tracked(self) -> list[tuple[Any, ParameterState]]:
        """Every parameter of every optimizer that is still alive."""
        found: list[tuple[Any, ParameterState]] = []
        for state, optimizer in self.followed():
            parameters = parameters_of(optimizer)
            found += zip(parameters, self.gradients_of(state, parameters), strict=True)
        return list({id(each[0]): each for each in found}.values()) if self.overlap else found

    def followed(self) -> list[tuple[OptimizerState, Any]]:
        """The optimizers that are alive and step in this thread, each with its state. A thread
        that steps none may run backwards for one that does."""
        found = [
            (state, optimizer)
            for state in self.alive
            if not state.elsewhere and (optimizer := state.ref()) is not None
        ]
        here = get_ident()
        if len(self.threads) > 1 and here in self.threads:
            return [each for each in found if each[0].thread in (0, here)]
        return found


def _doubled(count: int) -> bool:
    return count >= FIRST and count & (count - 1) == 0


def _assigned(spot: Spot | None) -> str | None:
    """The variable that the statement at `spot` assigns what it calls to."""
    at = located(spot)
    statement = statement_at(at.file, at.line) if at is not None else None
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return None
    return ast.unparse(statement.targets[0]) if len(statement.targets) == 1 else None

"""Watches state_dict() and load_state_dict(): values that are restored onto themselves."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from types import CodeType, FrameType
from typing import Any

import torch

from graphlab.observe.names import submodules
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.sightings.state.sharing.one_object import line_of_union
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, address_of, grad_of, is_tensor, version_of
from graphlab.source.files import user_frame
from graphlab.source.objects import attributes, is_a, item, items
from graphlab.source.places import locate, statement_at
from graphlab.source.wording import loop_variables
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import Restored

# How many of the last state_dict() calls of each line are remembered.
REMEMBER = 4


@dataclass(frozen=True, slots=True)
class Taking:
    """One state_dict(): `value` is its first tensor, `owner` what it was taken of. loads: how many
    times something else had been loaded into that."""

    spot: Spot
    owner: Ref
    value: Ref
    version: int
    seq: int
    steps: dict[int, int]
    loads: int


class Loads:
    """`loading` is called with a module before and after values are loaded into it, and with the
    line and `assign`."""

    def __init__(
        self,
        watched: Watched,
        loading: Callable[[Any, Spot | None, bool, bool], None],
    ) -> None:
        self._watched = watched
        self._loading = loading
        self._takings: dict[Spot, deque[Taking]] = {}
        self._found: dict[Location, Restored] = {}
        # By the identity of a module: it, and how often values of another's were loaded into it.
        self._loads: dict[int, tuple[Ref, int]] = {}
        # Lines that load a module's own values, and how many steps there had been at the first.
        self._own: dict[Location, int] = {}
        module, optimizer = torch.nn.Module, torch.optim.Optimizer
        tracer = watched.tracer
        tracer.handle(module.state_dict, partial(self._taken, True))
        tracer.handle(optimizer.state_dict, partial(self._taken, False))
        tracer.handle(module.load_state_dict, self._module_loads)
        tracer.handle(optimizer.load_state_dict, self._optimizer_loads)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing is to be learned from a graph."""

    def found(self) -> Iterable[Restored]:
        return self._found.values()

    def _spot(self, frame: FrameType) -> tuple[FrameType | None, Spot | None]:
        user = user_frame(frame.f_back, self._watched.files)
        return user, (user.f_code, user.f_lasti) if user is not None else None

    def _steps(self) -> dict[int, int]:
        return {state.at: state.steps for state in self._watched.ledger.registry.alive}

    def _taken(self, modules: bool, frame: FrameType, event: str, arg: Any) -> None:
        # The calls for a module's children are part of it.
        inner = frame.f_back is not None and frame.f_back.f_code is frame.f_code
        if event != "return" or inner or not is_a(arg, dict):
            return
        with Unnoticed():
            first = _first_of(arg if modules else item(arg, "state"))
            _, spot = self._spot(frame)
            owner: Any = frame.f_locals.get("self")
            if first is None or spot is None or owner is None:
                return
            seq = self._watched.tracer.seq()
            version, loads = version_of(first), self._loaded(owner)
            taking = Taking(spot, Ref(owner), Ref(first), version, seq, self._steps(), loads)
            self._takings.setdefault(spot, deque(maxlen=REMEMBER)).append(taking)

    def _module_loads(self, frame: FrameType, event: str, arg: Any) -> None:
        values = frame.f_locals
        module: Any = values.get("self")
        user, spot = self._spot(frame)
        with Unnoticed():
            if event == "call":
                self._judge(module, values.get("state_dict"), user, spot)
            if event in ("call", "return"):
                self._loading(module, spot, bool(values.get("assign")), event == "return")

    def _loaded(self, module: Any) -> int:
        ref, count = self._loads.get(id(module), (None, 0))
        return count if ref is not None and ref() is module else 0

    def _judge(self, module: Any, given: Any, user: FrameType | None, spot: Spot | None) -> None:
        pairs = _aliases(module, given)
        if not pairs:
            self._loads[id(module)] = Ref(module), self._loaded(module) + 1
        if not pairs or user is None or spot is None:
            return
        registry = self._watched.ledger.registry
        places = registry.places()
        owners = {at for own, _ in pairs for at in places.get(id(own), ())}
        taking = self._taking_of(given, pairs[0][1], module)
        if taking is None:
            return
        now = self._steps()
        at = locate(*spot)
        if any(now.get(owner, 0) > taking.steps.get(owner, 0) for owner in owners) or (
            not owners and self._by_hand(taking, pairs)
        ):
            self._note(at, taking)
        elif taking.owner() is module and self._loaded(module) > taking.loads:
            # An average was to take the place of the values for a while: it is what is kept now.
            self._note(at, taking, loaded=True)
        elif any(now.get(owner, 0) for owner in owners):
            self._one_object(at, taking, user)
        elif not owners:
            self._itself(at, sum(now.values()))

    def _by_hand(self, taking: Taking, pairs: list[tuple[Any, Any]]) -> bool:
        """Whether the program itself has trained the parameters since: it wrote them, ran a
        forward, and they have gradients."""
        value = taking.value()
        written = value is not None and version_of(value) != taking.version
        forward = self._watched.tracer.seq() > taking.seq
        return written and forward and any(grad_of(own) is not None for own, _ in pairs)

    def _taking_of(self, given: Any, alias: Any, owner: Any) -> Taking | None:
        """The state_dict() that the values are from: by themselves, else by the memory they lie
        in, where only one line has taken that."""
        held = {id(value) for _, value in items(given) if is_tensor(value)}
        every = [each for those in self._takings.values() for each in reversed(those)]
        for each in every:
            value = each.value()
            if value is not None and id(value) in held:
                return each
        same = [each for each in every if each.owner() is owner]
        return same[0] if len({each.spot for each in same}) == 1 else None

    def _note(self, at: Location, taking: Taking, loaded: bool = False) -> None:
        if at in self._found:
            return
        receiver, given = _parts(at, "load_state_dict")
        taken = locate(*taking.spot)
        self._found[at] = Restored(
            at, f"{receiver}.load_state_dict()", receiver, given, taken, _taken_by(taken),
            loaded=loaded,
        )  # fmt: skip

    def _one_object(self, at: Location, taking: Taking, user: FrameType) -> None:
        """Loaded from what is the same module under another name."""
        taken = locate(*taking.spot)
        receiver, _ = _parts(at, "load_state_dict")
        source, _ = _parts(taken, "state_dict")
        same_function: CodeType = taking.spot[0]
        loops = loop_variables(at)
        roots = {receiver.split(".")[0], source.split(".")[0]}
        plain = all(part.replace(".", "").isidentifier() for part in (receiver, source))
        if at in self._found or not plain or receiver == source or roots & loops:
            return
        if same_function is not user.f_code:
            return
        made = line_of_union(receiver, source, user, self._watched.files)
        self._found[at] = Restored(
            at, f"{receiver}.load_state_dict()", receiver, source, made,
            made.code if made is not None else "", True,
        )  # fmt: skip

    def _itself(self, at: Location, steps: int) -> None:
        """``target.load_state_dict(target.state_dict())``, for a second time, after more steps of
        other networks: it follows none of them."""
        receiver, given = _parts(at, "load_state_dict")
        if not receiver or given != f"{receiver}.state_dict()" or at in self._found:
            return
        if self._own.setdefault(at, steps) < steps:
            self._found[at] = Restored(
                at, f"{receiver}.load_state_dict()", receiver, given, None, "", itself=True
            )

    def _optimizer_loads(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "call":
            return
        with Unnoticed():
            optimizer, given = frame.f_locals.get("self"), frame.f_locals.get("state_dict")
            _, spot = self._spot(frame)
            value = _first_of(item(given, "state"))
            if value is None or spot is None:
                return
            own: Any = attributes(optimizer).get("state")
            held = list(dict.values(own)) if is_a(own, dict) else []
            addresses = {
                address_of(each) for one in held for _, each in items(one) if is_tensor(each)
            }
            every = [each for those in self._takings.values() for each in those]
            taking = next((each for each in every if each.value() is value), None)
            if taking is None or taking.owner() is not optimizer:
                return
            at = self._watched.ledger.registry.state(optimizer).at
            stepped = self._steps().get(at, 0) > taking.steps.get(at, 0)
            if stepped and address_of(value) in addresses:
                self._note(locate(*spot), taking)


def _first_of(values: Any) -> Any:
    """The first tensor with elements in a dictionary of tensors, or of dictionaries of those."""
    for _, each in items(values, 64):
        found = _first_of(each) if is_a(each, dict) else each
        if is_tensor(found) and address_of(found):
            return found
    return None


def _aliases(module: Any, given: Any) -> list[tuple[Any, Any]]:
    """(parameter, value) for each value that lies in the memory of the parameter that it goes into;
    empty if one of them does not."""
    wanted = {key: value for key, value in items(given) if is_tensor(value)}
    found: list[tuple[Any, Any]] = []
    for path, each in submodules(module):
        for key, own in items(attributes(each).get("_parameters")):
            value = wanted.get(f"{path}.{key}" if path else str(key))
            if value is None or not is_tensor(own):
                continue
            if not address_of(own) or address_of(own) != address_of(value):
                return []
            found.append((own, value))
    return found


def _parts(at: Location, method: str) -> tuple[str, str]:
    """What the call of `method` at a line is made on, and with, as written."""
    statement = statement_at(at.file, at.line)
    for node in ast.walk(statement) if statement is not None else ():
        func = node.func if isinstance(node, ast.Call) else None
        if not isinstance(func, ast.Attribute) or func.attr != method:
            continue
        assert isinstance(node, ast.Call)
        if node.lineno <= at.line <= (node.end_lineno or 0):
            given = node.args[0] if node.args else None
            return ast.unparse(func.value), ast.unparse(given) if given else ""
    return "", ""


def _taken_by(at: Location) -> str:
    receiver, _ = _parts(at, "state_dict")
    return f"{receiver}.state_dict()" if receiver else at.code

"""Infers who most likely wrote a stale tensor, from optimizers' state and the user's source.

A writer is named only if it is the only one possible, and a line only if one statement alone can
be it.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from graphlab.observe.hooks.unpatched_writes import is_array
from graphlab.observe.lineage.values import Values
from graphlab.observe.names import Names, parameters_in, parameters_of, submodules, wrapped
from graphlab.observe.tensors import Named, dtype_of, is_module, is_tensor, storage_key
from graphlab.source.effects.assignments import stored_names
from graphlab.source.objects import LOST, attributes, class_module, class_name, is_a, item, items
from graphlab.source.places import parse
from graphlab.source.statements import (
    Scope,
    Statement,
    assigned,
    before_the_loop,
    holds_items,
    is_argument,
    lists_tensors,
)
from graphlab.trace.model import Location

# How many items of a list are looked at.
_ITEMS = 4_096
_HANDING_ON = {"list", "tuple", "zip", "enumerate", "reversed", "sorted", "iter", "set"}


@dataclass(frozen=True, slots=True)
class PossibleWriter:
    """`why` is the key of a text, shown only if it is the only possible one, which calls the writer
    by its `name`, or else `by`; `proven`: it did write, at some time."""

    by: str
    at: Location | None
    why: str
    name: str = ""
    proven: bool = False


@dataclass(frozen=True, slots=True)
class WriteTargets:
    """What a statement writes. `sure` and `maybe` are storage keys. It may also write any
    parameter, any activation (of `dtype`, if given), or a parameter whose name ends in
    `last_name`."""

    sure: frozenset[int]
    maybe: frozenset[int] = frozenset()
    any_parameter: bool = False
    any_activation: bool = False
    last_name: str | None = None
    dtype: Any = None


@dataclass(frozen=True, slots=True)
class LiveOptimizer:
    """A living optimizer. `steps` is its own count, None where its state keeps none."""

    optimizer: Any
    name: str
    owns: frozenset[int]
    steps: int | None


def live_optimizers(names: Names) -> list[LiveOptimizer]:
    """Every optimizer in memory, those that the frames name first."""
    found = {id(each): each for each in names.held_optimizers()}
    for each in gc.get_objects():
        if is_a(each, torch.optim.Optimizer):
            one = wrapped(each)
            found.setdefault(id(one), one)
    # Of one inside another that steps by its own rule, the outer one is what the user calls.
    inside = {id(inner) for each in found.values() for inner in attributes(each).values()}
    return [
        LiveOptimizer(
            each,
            names.optimizers.get(id(each)) or f"{class_name(each).lower()}_{at}",
            frozenset(id(p) for p in parameters_of(each)),
            max((_steps(state) or 0 for state in _states(each).values()), default=0) or None,
        )
        for at, each in enumerate(found.values())
        # One whose constructor failed has no groups yet.
        if id(each) not in inside and {"param_groups", "state"} <= attributes(each).keys()
    ]


class WriterSearch:
    """Finds the possible writers of stale tensors."""

    def __init__(
        self,
        source: list[Statement],
        values: Values,
        names: Names,
        owners: list[LiveOptimizer],
        places: list[Location],
    ) -> None:
        """`places` are where the program stood as it failed, one for each frame of the user's."""
        self._values, self._names, self._owners = values, names, owners
        self._source = source
        self._known_targets: dict[int, WriteTargets] = {}
        self._before = {id(each) for each in source if before_the_loop(each, source, places)}

    def of(self, tensor: Any, named: Named | None) -> list[PossibleWriter]:
        """Everything that may have written `tensor`: a single one is the likely writer."""
        lasting = named is not None and named.kind in ("parameter", "buffer")
        found = [each for owner in self._owners for each in self._stepper(owner, tensor)]
        if any(each.proven for each in found):
            found = [each for each in found if each.proven]
        proven = any(each.proven for each in found)
        seen: set[tuple[str, int, str]] = set()
        for statement in self._source:
            if statement.kind not in ("write", "load"):
                continue
            if proven and (statement.initialises() or id(statement) in self._before):
                continue
            # One chain, x.mul_(a).add_(b), is one writer; its outer call comes first.
            link = (statement.scope.file, statement.node.lineno, ast.unparse(statement.target))
            verdict = self._judge(statement, tensor, lasting) if link not in seen else None
            if verdict is not None:
                seen.add(link)
                why = "observed.wrote.sure" if verdict else "observed.wrote.maybe"
                found.append(PossibleWriter(statement.by, statement.at, why))
        found.extend(self._modules(tensor, lasting))
        return _merged(found)

    # Optimizers ---------------------------------------------------------------

    def _stepper(self, owner: LiveOptimizer, tensor: Any) -> Iterator[PossibleWriter]:
        if id(tensor) not in owner.owns:
            return
        stepped = _stepped(owner.optimizer, tensor)
        if stepped is False:
            return
        places = [each for each in self._source if each.kind == "step"]
        places = [each for each in places if self._is_step_of(owner, each)]
        at = places[0].at if len(places) == 1 else None
        alone = sum(id(tensor) in each.owns for each in self._owners) == 1
        key = f"{'only_owner' if alone else 'owner'}_{'stepped' if stepped else 'stateless'}"
        by, why = f"{owner.name}.step()", f"observed.wrote.{key}"
        yield PossibleWriter(by, at, why, owner.name, bool(stepped))

    def _is_step_of(self, owner: LiveOptimizer, statement: Statement) -> bool:
        """Whether a ``….step()`` may be this optimizer's: by the value of the name, or if that is
        lost, unless the name is another optimizer's."""
        receiver = self._values.of(statement.target, statement.scope)
        if statement.other is not None:
            given = self._values.of(statement.other, statement.scope)
            if wrapped(given) is owner.optimizer:
                return True
        if receiver is not LOST:
            return wrapped(receiver) is owner.optimizer
        last = _last_name(statement.target)
        if last == _last_word(owner.name):
            return True
        others = {_last_word(each.name) for each in self._owners}
        return last not in others and "sched" not in last.lower()

    # Statements ---------------------------------------------------------------

    def _judge(self, statement: Statement, tensor: Any, lasting: bool) -> bool | None:
        """True where a statement writes `tensor`, False where it may, None where it cannot."""
        targets = self._known_targets.get(id(statement))
        if targets is None:
            targets = self._known_targets[id(statement)] = self._targets_of(statement)
        key = _key(tensor)
        if key in targets.sure:
            return True
        if lasting:
            own = self._names.of_tensor(tensor)
            same_word = own is not None and targets.last_name == _last_word(own[1].name)
            return False if targets.any_parameter or same_word or key in targets.maybe else None
        # An activation's variable is another tensor by now; it may have been this one.
        like = targets.dtype in (None, dtype_of(tensor))
        return False if targets.any_activation and like else None

    def _targets_of(self, statement: Statement) -> WriteTargets:
        """What a statement writes, worked out once for all tensors."""
        target, scope = statement.target, statement.scope
        writes = statement.kind == "write"
        loop = _loop_around(target, statement)
        sources = list(_sources(loop)) if loop is not None else []
        values = [self._values.of(each, scope) for each in sources]
        if loop is not None and (_lists_parameters(loop) or any(_many(v) for v in values)):
            any_parameter = any(value is LOST for value in values)
            return WriteTargets(
                frozenset().union(*(_keys(value) for value in values)), any_parameter=any_parameter
            )
        value = self._values.of(target, scope)
        if self._replaces_an_item(statement, value):
            return WriteTargets(frozenset())
        if value is not LOST:
            dtype = dtype_of(value) if is_tensor(value) else None
            any_activation = writes and dtype is not None and not _many(value)
            return WriteTargets(_keys(value), any_activation=any_activation, dtype=dtype)
        if isinstance(target, ast.Name):
            maybe, any_parameter = self._stood_for(target, scope)
            return WriteTargets(
                frozenset(), maybe, any_parameter or not writes, any_activation=writes
            )
        last_name = _last_name(target) if writes else None
        return WriteTargets(
            frozenset(), any_parameter=not writes, any_activation=writes, last_name=last_name
        )

    def _replaces_an_item(self, statement: Statement, value: Any) -> bool:
        """Whether ``x[…] = …`` puts another object into a dictionary, a list or the like, which
        writes no tensor."""
        node, scope = statement.node, statement.scope
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
            return False
        holder = node.targets[0].value
        held = value if ast.unparse(holder) == ast.unparse(statement.target) else LOST
        held = self._values.of(holder, scope) if held is LOST else held
        if held is not LOST:
            return not is_tensor(held) and not is_array(held)
        if isinstance(holder, ast.Name):
            made = assigned(holder.id, scope)
            return bool(made) and all(holds_items(each) for each in made)
        tree = parse(scope.file)
        made = [
            each.value
            for each in (ast.walk(tree) if tree is not None else ())
            if isinstance(each, ast.Assign | ast.AnnAssign)
            and each.value is not None
            and ast.unparse(holder) in stored_names(each)
        ]
        return bool(made) and all(holds_items(each) for each in made)

    def _stood_for(
        self, node: ast.expr, scope: Scope, depth: int = 0
    ) -> tuple[frozenset[int], bool]:
        """(storage keys that a name whose value is lost may have stood for, whether any others
        too)."""
        value = self._values.of(node, scope)
        if value is not LOST:
            return _keys(value), False
        if not isinstance(node, ast.Name) or depth > 4:
            return frozenset(), True
        keys: frozenset[int] = frozenset()
        for made in assigned(node.id, scope):
            for each in _sources(made):
                more, any_parameter = self._stood_for(each, scope, depth + 1)
                if any_parameter:
                    return keys, True
                keys |= more
        # What a function is given may be anything; a forward is given activations.
        function = scope.function.name if scope.function is not None else ""
        return keys, is_argument(node.id, scope) and function != "forward"

    # Modules ------------------------------------------------------------------

    def _modules(self, tensor: Any, lasting: bool) -> Iterator[PossibleWriter]:
        """Modules that write in place as they run: ``nn.ReLU(inplace=True)``, and an embedding
        whose `max_norm` has it rescale its own weight."""
        for module in self._names.held_modules():
            name = self._names.modules[id(module)]
            kind = class_name(module)
            own = attributes(module)
            if not lasting and own.get("inplace") is True:
                by = f"{name} ({kind}, inplace=True)"
                yield PossibleWriter(by, None, "observed.wrote.maybe", name)
            if own.get("max_norm") is not None and _key(tensor) in _keys(own["_parameters"]):
                by = f"{name} ({kind}, max_norm)"
                yield PossibleWriter(by, None, "observed.wrote.rescales", name)


def _merged(found: list[PossibleWriter]) -> list[PossibleWriter]:
    """One per writer; its line only where it has but one."""
    by: dict[str, PossibleWriter] = {}
    for each in found:
        known = by.get(each.by)
        if known is not None and known.at != each.at:
            each = replace(each, at=None)
        by[each.by] = each
    return list(by.values())


def _stepped(optimizer: Any, parameter: Any) -> bool | None:
    """Whether it has stepped `parameter`, by its own state; None if the state does not say."""
    states = _states(optimizer)
    state = states.get(id(parameter))
    if state:
        count = _steps(state)
        return count is None or count > 0
    if is_a(optimizer, torch.optim.LBFGS):
        return any(bool(each) for each in states.values() if type(each) is dict)
    if not class_module(optimizer).startswith("torch.optim"):
        return None
    if is_a(optimizer, torch.optim.SGD):
        for _, group in items(attributes(optimizer)["param_groups"]):
            mine = any(each is parameter for _, each in items(item(group, "params")))
            if mine and not item(group, "momentum"):
                return None
    return False


def _states(optimizer: Any) -> dict[int, Any]:
    """What an optimizer keeps for each of its parameters, by their identity."""
    kept: Any = attributes(optimizer).get("state")
    return {id(key): each for key, each in list(dict.items(kept))} if is_a(kept, dict) else {}


def _steps(state: Any) -> int | None:
    """How often a parameter was stepped: ``state["step"]``, a number or a tensor of one."""
    found = (item(state, "step"), item(state, "n_iter"))
    count: Any = next((each for each in found if each is not LOST), None)
    try:
        return int(count) if is_a(count, (int, float)) or is_tensor(count) else None
    except Exception:  # a device that has failed does not answer any more
        return None


def _key(tensor: Any) -> int:
    key = storage_key(tensor)
    return key if key is not None else id(tensor)


def _keys(value: Any) -> frozenset[int]:
    """The storage keys of a tensor, or of all tensors in a module, a list or a dict."""
    if is_module(value):
        return frozenset(map(_key, (*parameters_in(value), *_buffers_in(value))))
    several = [each for _, each in items(value, _ITEMS)] if _many(value) else [value]
    return frozenset(_key(each) for each in several if is_tensor(each))


def _many(value: Any) -> bool:
    return is_module(value) or is_a(value, (list, tuple, dict))


def _lists_parameters(loop: ast.expr) -> bool:
    return any(lists_tensors(node) for node in ast.walk(loop))


def _loop_around(target: ast.expr, statement: Statement) -> ast.expr | None:
    """What the loop runs over whose variable `target` is, or is a part of."""
    name = target
    while isinstance(name, ast.Attribute | ast.Subscript):
        name = name.value
    for loop in reversed(statement.scope.loops):
        if isinstance(loop, ast.For) and isinstance(name, ast.Name):
            bound = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
            if name.id in bound:
                return loop.iter
    return None


def _sources(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions whose items this one yields unchanged: D and T for ``zip(D.parameters(),
    T.parameters())``; none if it computes something new."""
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        yield node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if lists_tensors(node) or node.func.attr in ("values", "items"):
            yield node.func.value
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _HANDING_ON:
        for each in node.args:
            yield from _sources(each)


def _last_word(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _last_name(node: ast.expr) -> str:
    return _last_word(ast.unparse(node))


def _buffers_in(module: Any) -> list[Any]:
    """As ``list(module.buffers())``."""
    return [
        buffer
        for _, each in submodules(module)
        for _, buffer in items(attributes(each).get("_buffers"))
        if is_tensor(buffer)
    ]

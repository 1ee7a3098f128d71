"""Finds the variables that lead into an earlier iteration's graph when a backward fails on it."""

from __future__ import annotations

import ast
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from functools import partial
from types import CellType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, get_args

from graphlab.observe.graph.kept import Held, in_libraries, node_behind, parts_of
from graphlab.observe.graph.walk import hold, sequence, walk
from graphlab.observe.tensors import is_module, is_tensor
from graphlab.source.effects.stores import stores_named
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import attributes, class_name, exactly, is_a, items, variables
from graphlab.source.places import expression_of
from graphlab.trace.model import Carrier
from graphlab.trace.values import CarrierForm

_NONE = Carrier("", "other")
# A graph larger than this is not searched once for each variable.
LARGE = 20_000
MOST = 24
# How many entries of one dictionary are named one by one.
FEW = 3
# So many objects are looked at for one that has it deep inside.
DEEPEST = 4_000
# Where a module keeps what is written as its attributes.
_OF_MODULES = ("_modules", "_parameters", "_buffers")
_NO_HOLDER = frozenset(map(id, (bool, int, float, str, bytes, type(None))))


def carriers(frame: FrameType, files: UserFiles, seq: int) -> tuple[Carrier, ...]:
    """The variables of the function that the backward is called from, those of the module that it
    uses, the user's modules that a library holds, and the attributes of all these, whose graph has
    the node `seq`."""
    user = user_frame(frame, files)
    if user is None:
        return ()
    everywhere = variables(user.f_globals)
    used = {name: everywhere[name] for name in user.f_code.co_names if name in everywhere}
    found: dict[str, Carrier] = {}
    roots: dict[str, tuple[list[Any], set[int]]] = {}
    keep: list[Any] = []
    seen: set[int] = set()
    mine = {**used, **variables(user.f_locals)}
    held = [(user, name, value) for name, value in mine.items()]
    for _, label, each in parts_of([*held, *in_libraries(frame, files)]):
        held_in = is_a(each, (list, tuple)) or _is_table(each)
        whole = [one for _, one in items(each)] if held_in else [each]
        tensors = [one for one in whole if is_tensor(one)]
        if not tensors and held_in:
            whole = _of_pairs(each)
            tensors = [one for one in whole if is_tensor(one)]
        if not tensors or id(each) in seen or len(found) >= MOST:
            continue
        if found.get(label.partition("[")[0], _NONE).form == "dict":
            # An entry of a dictionary that is known as a whole.
            continue
        seen.add(id(each))
        nodes = walk([node for t in tensors if (node := node_behind(t)) is not None], LARGE)
        hold(nodes, tensors)
        if any(sequence(node) == seq for node in nodes):
            ends = [node for t in tensors if (node := node_behind(t)) is not None]
            roots[label] = ends, {id(node) for node in nodes}
            keep += nodes
            found[label] = Carrier(label, _form(each, len(tensors)))
    anew = {root for label in found if (root := _root(label)) != label and _anew(root, user, files)}
    old = {label: each for label, each in found.items() if _root(label) not in anew}
    # What holds the tensors of one turn alone brings nothing over from the turn before.
    found = old or found
    inside = _inside([*held, *in_libraries(frame, files)], seq, {*found} | anew)
    return (*_together(_first_made(found, roots).values()), *inside)


def _root(label: str) -> str:
    return label.partition("[")[0].partition(".")[0]


def _anew(name: str, frame: FrameType, files: UserFiles) -> bool:
    """Whether each turn of a loop begins with an object of its own under this name, which may have
    been handed down to the function of `frame`: ``batch = Rollout()``."""
    code = frame.f_code
    while name in code.co_varnames[: code.co_argcount]:
        caller = user_frame(frame.f_back, files)
        call = expression_of(caller.f_code, caller.f_lasti) if caller is not None else None
        given = _handed(call, name, frame) if isinstance(call, ast.Call) else None
        if caller is None or not isinstance(given, ast.Name):
            return False
        name, frame, code = given.id, caller, caller.f_code
    own = code.co_qualname.replace("<locals>.", "")
    made = [
        each
        for each in stores_named(code.co_filename, name)
        if each.function == ("" if own == "<module>" else own)
        and isinstance(each.target, ast.Name)
        and not each.adds
    ]
    line = frame.f_lineno
    return bool(made) and all(
        isinstance(each.value, ast.Call | ast.List | ast.Dict)
        and not any(getattr(one, "id", "") == name for one in ast.walk(each.value))
        and each.loops
        and each.loops[-1].lineno < each.node.lineno < line <= (each.loops[-1].end_lineno or 0)
        for each in made
    )


def _handed(call: ast.Call, name: str, frame: FrameType) -> ast.expr | None:
    """What a call hands to a parameter of the function that it runs in `frame`."""
    parameters = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    skipped = int(parameters[:1] == ("self",))
    for word in call.keywords:
        if word.arg == name:
            return word.value
    at = parameters.index(name) - skipped
    plain = not any(isinstance(each, ast.Starred) for each in call.args)
    return call.args[at] if plain and 0 <= at < len(call.args) else None


def _first_made(
    found: dict[str, Carrier], roots: dict[str, tuple[list[Any], set[int]]]
) -> dict[str, Carrier]:
    """Without the entries of a dictionary that were computed from others of its entries."""
    left = dict(found)
    for label in found:
        holder = label.rpartition("[")[0]
        for other in found:
            if holder and other != label and other.rpartition("[")[0] == holder and other in left:
                mine, theirs = {id(each) for each in roots[label][0]}, roots[other]
                if not mine & theirs[1] and {id(each) for each in theirs[0]} <= roots[label][1]:
                    left.pop(label, None)
    return left


def _inside(held: list[Held], seq: int, known: set[str]) -> Iterator[Carrier]:
    """The objects, of a library's class as a rule, in which such a tensor is, however deep; those
    in which one is known are left out."""
    names = {each.partition("[")[0].partition(".")[0] for each in known}
    for _, name, value in held:
        if name in names:
            continue
        label = _way_to(name, value, seq)
        if label is not None:
            yield Carrier(label, "other", True)


def _way_to(name: str, value: Any, seq: int) -> str | None:
    """How the user would write the part of an object that leads to the node `seq`: up to what a
    library keeps to itself."""
    waiting, seen, tensors = deque([(name, value, False)]), {id(value)}, 0
    # What was met is kept alive, so that no identity comes twice.
    met = [value]
    while waiting and len(seen) < DEEPEST:
        label, each, hidden = waiting.popleft()
        if is_tensor(each):
            node = node_behind(each)
            tensors += node is not None
            nodes = walk([node], LARGE) if node is not None and tensors <= MOST else []
            hold(nodes, [each])
            if any(sequence(one) == seq for one in nodes):
                return label
            continue
        if id(type(each)) in _NO_HOLDER or is_a(each, (type, ModuleType)):
            continue
        own = [*_own(each), *_bound(each)]
        # A cache has keys of any kind.
        entries = dict.values(each) if is_a(each, dict) else (one for _, one in items(each))
        for key, inner in [*own, *((0, one) for one in [*entries])]:
            if id(inner) in seen:
                continue
            seen.add(id(inner))
            met.append(inner)
            private = hidden or type(key) is not str or key.startswith("_")
            part = f"[{key}]" if str(key).isdigit() else f".{key}"
            waiting.append((label if private else f"{label}{part}", inner, private))
    return None


def _own(value: Any) -> Iterator[tuple[Any, Any]]:
    """The attributes of an object by name; those of a module as its users write them."""
    for key, inner in attributes(value).items():
        if key in _OF_MODULES and is_module(value) and is_a(inner, dict):
            yield from dict.items(inner)
        else:
            yield key, inner


def _bound(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function of any kind was made with: its own object, arguments that were given
    beforehand, and the variables around it."""
    if type(value) is partial:
        for each in (value.func, *value.args, *value.keywords.values()):
            yield "_", each
    elif type(value) is MethodType:
        yield "_", value.__self__
    elif type(value) is FunctionType:
        for cell in value.__closure__ or ():
            yield "_", cell
    elif type(value) is CellType:
        try:
            yield "_", value.cell_contents
        except ValueError:
            # The variable has no value yet.
            return


def _together(carriers: Iterable[Carrier]) -> Iterator[Carrier]:
    """A dictionary that holds many of them stands for them."""
    holders = Counter(each.name.rpartition("[")[0] for each in carriers)
    many = {name for name, count in holders.items() if name and count > FEW}
    for each in carriers:
        holder = each.name.rpartition("[")[0]
        if holder in many:
            many.remove(holder)
            yield Carrier(holder, "other")
        elif holders[holder] <= FEW or not holder:
            yield each


def _is_table(value: Any) -> bool:
    """Whether it is a dictionary of tensors by other keys than names, as those of a graph's nodes:
    what has a name is a variable of its own."""
    if type(value) is not dict or not value:
        return False
    entries = list(items(value))
    return len(entries) == len(value) and all(
        type(key) is int and is_tensor(each) for key, each in entries
    )


def _form(value: Any, tensors: int) -> Any:
    if is_tensor(value):
        return "tensor"
    # A named tuple is built in another way.
    plain = exactly(value, tuple, list, dict) and len(value) == tensors
    if plain or not exactly(value, tuple, list):
        return class_name(value) if plain else "other"
    inner = {class_name(one) for _, one in items(value) if exactly(one, tuple, list)}
    found = f"{class_name(value)} of {inner.pop()}s" if len(inner) == 1 else "other"
    return found if found in get_args(CarrierForm) and len(_of_pairs(value)) == tensors else "other"


def _of_pairs(value: Any) -> list[Any]:
    """What the lists or tuples in a list or tuple hold, as the states of each layer of an LSTM; []
    where it holds anything else as well."""
    pairs = [one for _, one in items(value)] if exactly(value, tuple, list) else []
    if len(pairs) > MOST or not all(exactly(one, tuple, list) for one in pairs):
        return []
    return [one for pair in pairs for _, one in items(pair)]

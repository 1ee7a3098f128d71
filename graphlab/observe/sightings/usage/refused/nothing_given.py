"""Tells why an optimizer of torch's was given no parameters."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, GeneratorType
from typing import Any, Literal

from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import located
from graphlab.observe.optimizers.loose import making
from graphlab.observe.origins.context import Context, Entry, node_at
from graphlab.observe.tensors import is_leaf, is_module, is_tensor, requires_grad
from graphlab.source.effects.origins import stores_of_attribute
from graphlab.source.effects.stores import stores_named
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, exactly, items
from graphlab.source.wording import call_text
from graphlab.trace.model import Location
from graphlab.trace.sightings import OptimizerRefused

_ASKED = ("parameters", "named_parameters")
# How many items of a container are looked at.
_ITEMS = 64


def nothing_given(
    entries: Sequence[tuple[FrameType, int]], names: Names, files: UserFiles
) -> OptimizerRefused | None:
    """`entries` are the user's frames, the innermost first: the call that builds the optimizer is
    in one of them. None where neither a module nor a generator is found that explains it."""
    for frame, offset in entries:
        call = node_at(frame.f_code, offset)
        context = Context.of_entry(Entry(frame, offset))
        if not isinstance(call, ast.Call) or context is None:
            continue
        at = located((frame.f_code, offset))
        text = call_text(at, ast.unparse(call.func))[0]
        given = call.args[0] if call.args else _keyword(call, "params")
        if given is None:
            continue
        made = _assigned(given, context)
        asked = _asked(made[0] if made is not None else given)
        module = context.value(asked) if asked is not None else None
        if asked is None or not is_module(module):
            continue
        name = names.modules.get(id(module), ast.unparse(asked))
        held = parameters_in(module)
        if not held:
            return _unregistered(module, name, at, text, files)
        if not any(requires_grad(each) for each in held):
            return OptimizerRefused(at, text, "frozen", (name,))
        # It has some, so that a generator of all of them was empty by then.
        if made is not None and _asks_again(made[0], asked, context.value(given)):
            return OptimizerRefused(at, text, "used", (ast.unparse(given),), made[1])
    return None


def _unregistered(
    module: Any, name: str, at: Location | None, call: str, files: UserFiles
) -> OptimizerRefused | None:
    """What a module without parameters holds where nobody looks for them."""
    looks: tuple[tuple[Literal["listed", "plain"], Callable[[Any], bool]], ...] = (
        ("listed", _hides),
        ("plain", _is_weight),
    )
    for why, test in looks:
        found = [
            (owner, key, path)
            for path, owner in submodules(module)
            for key, value in attributes(owner).items()
            if type(key) is str
            and key not in ("_parameters", "_buffers", "_modules")
            and not key.startswith("__")
            and test(value)
        ]
        if found:
            told = tuple(".".join(filter(None, (name, path, key))) for _, key, path in found)
            made = making(stores_of_attribute(found[0][0], found[0][1], files))
            return OptimizerRefused(at, call, why, told, made)
    return None


def _hides(value: Any) -> bool:
    if not exactly(value, list, tuple, dict):
        return False
    held = [each for _, each in items(value, _ITEMS)]
    return any(is_module(each) and parameters_in(each) for each in held)


def _is_weight(value: Any) -> bool:
    return is_tensor(value) and requires_grad(value) and is_leaf(value)


def _assigned(given: ast.expr, context: Context) -> tuple[ast.expr, Location] | None:
    """The one call or generator that a variable was given its value by, and its line."""
    if not isinstance(given, ast.Name):
        return None
    found = [each for each in stores_named(context.file, given.id) if each.node in _body(context)]
    if len(found) != 1 or not isinstance(found[0].value, ast.Call | ast.GeneratorExp):
        return None
    return found[0].value, found[0].at


def _asks_again(made: ast.expr, asked: ast.expr, value: Any) -> bool:
    """Whether `made` would give the parameters that require grad if it were asked anew: it is
    ``model.parameters()``, or that with no other condition than that they do."""
    if isinstance(made, ast.GeneratorExp):
        part = made.generators[0]
        told = len(made.generators) == 1 and ast.unparse(made.elt) == ast.unparse(part.target)
        wanted = [f"{ast.unparse(part.target)}.requires_grad"]
        conditions = [ast.unparse(each) for each in part.ifs]
        return told and conditions in ([], wanted) and exactly(value, GeneratorType)
    if not isinstance(made, ast.Call):
        return False
    if asked is getattr(made.func, "value", None):
        return exactly(value, GeneratorType)
    test = made.args[0] if made.args else None
    if not isinstance(test, ast.Lambda) or len(test.args.args) != 1:
        return False
    # Of the class `filter`: nothing of the program's has taken its name.
    plain = ast.unparse(test.body) == f"{test.args.args[0].arg}.requires_grad"
    return plain and exactly(value, filter)


def _body(context: Context) -> set[ast.AST]:
    return {*ast.walk(context.scope)}


def _asked(node: ast.AST) -> ast.expr | None:
    """``model`` of ``filter(f, model.parameters())``, where one module alone is asked."""
    found = list(_receivers(node))
    return found[0] if len(found) == 1 else None


def _receivers(node: ast.AST) -> Iterator[ast.expr]:
    for each in ast.walk(node):
        if (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in _ASKED
        ):
            yield each.func.value


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)

"""Finds the line that froze a tensor: the statement that sets requires_grad, and is proved to
cover it by what the program's variables hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import FrameType
from typing import Any, Literal

from graphlab.observe.lineage.values import (
    Values,
    bound_to,
    calls_in,
    defaults,
    files_of,
    named_parameters,
    user_frames,
)
from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import Cut, Log
from graphlab.observe.tensors import is_module, is_parameter, is_tensor
from graphlab.source.effects.freezes import Freeze, freezes
from graphlab.source.effects.stores import stores_named
from graphlab.source.effects.truth import value_of
from graphlab.source.evaluate import constant, evaluate
from graphlab.source.files import UserFiles, installed
from graphlab.source.objects import LOST, attributes, class_name, is_a, items, static
from graphlab.source.places import locate, parse
from graphlab.source.statements import Scope, assigned

# What a loop's variables stand for in one of its rounds.
Round = dict[str, Any]
_ROUNDS, _CALLS = 4_096, 16


def frozen_by(
    tensor: Any, frame: FrameType | None, files: UserFiles, log: Log | None = None
) -> Cut | None:
    """The one statement that sets `tensor.requires_grad` to False; None where it is not certain.
    `frame` is the user's, from which its variables and those of its callers are read."""
    return _set_by(tensor, False, frame, files, log)


def thawed_by(
    tensor: Any, frame: FrameType | None, files: UserFiles, log: Log | None = None
) -> Cut | None:
    """The same of the statement that sets `tensor.requires_grad` to True."""
    return _set_by(tensor, True, frame, files, log)


def _set_by(
    tensor: Any, to: bool, frame: FrameType | None, files: UserFiles, log: Log | None
) -> Cut | None:
    frames = user_frames(frame, files)
    names = Names(files).gather_frames(frames)
    sources = files_of(frames, files)
    search = _Search(frames, names, sources, to)
    every = [each for file in sources for each in freezes(file)]
    found: dict[tuple[str, int], tuple[Scope, ast.AST]] = {}
    unknown = []
    for each in every:
        verdict = search.froze(each, tensor)
        if verdict is None:
            unknown.append(each)
        elif not isinstance(verdict, bool):
            scope = search.callers.get(id(verdict), each.scope)
            found[(scope.file, _line(verdict))] = scope, verdict
    born = _born(tensor, names, files) if not found and not to else None
    if born is not None:
        return born
    told = found or unknown or to
    by_library = _by_library(tensor, search, names, sources, frames) if not told else None
    if by_library is not None:
        return by_library
    if not found and len(unknown) == 1 and is_parameter(tensor):
        # A parameter requires grad until something takes that away, and no other statement did.
        only = unknown[0]
        found = {(only.scope.file, _line(only.statement)): (only.scope, only.statement)}
    if len(found) > 1 and log is not None:
        ran = _lines_run(log)
        found = {key: each for key, each in found.items() if key in ran} or found
    if len(found) != 1:
        return None
    scope, node = next(iter(found.values()))
    by = ast.unparse(node)
    return Cut(node, by if len(by) < 60 else by[:57] + "…", scope.file, scope.path)


def _born(tensor: Any, names: Names, files: UserFiles) -> Cut | None:
    """The statement of a module's class that made a parameter without a gradient."""
    found: dict[tuple[str, int], Cut | None] = {}
    for module in names.held_modules():
        mine = [k for k, v in items(attributes(module).get("_parameters")) if v is tensor]
        for name in mine:
            for base in type.__dict__["__mro__"].__get__(type(module)):
                code = getattr(attributes(base).get("__init__"), "__code__", None)
                if code is None or code not in files:
                    continue
                for each in stores_named(code.co_filename, str(name)):
                    if each.owner == base.__name__ and each.value is not None:
                        by = ast.unparse(each.node)
                        cut = Cut(each.node, by[:57] + "…" if len(by) > 60 else by, each.file,
                                  each.function)  # fmt: skip
                        found[each.file, each.node.lineno] = cut if _frozen(each.value) else None
    every = [*found.values()]
    return every[0] if len(every) == 1 else None


def _by_library(
    tensor: Any, search: _Search, names: Names, sources: list[str], frames: list[FrameType]
) -> Cut | None:
    """The only call of a library's method that freezes the module it is of: ``self.freeze()``, or
    ``self.toggle_optimizer(opt)``, which freezes all others, without its counterpart. If all have
    theirs: the last one that stands before the line that runs."""
    found: list[Cut] = []
    passing: list[Cut] = []
    undone = _untoggled(sources)
    for file in sources:
        tree = parse(file)
        for scope, call in calls_in(tree.body if tree is not None else [], Scope(file)):
            func = call.func
            word = func.attr.lower() if isinstance(func, ast.Attribute) else ""
            freezes = "freez" in word and "unfreez" not in word
            if not isinstance(func, ast.Attribute) or not (freezes or word.startswith("toggle")):
                continue
            passes = ast.unparse(call)[len(ast.unparse(func.value)) + 1 :] in undone
            held = search.held(func.value, scope, {}) or []
            if any(each is tensor for each in held) and any(
                _freezes(static(type(module), func.attr), tensor, module)
                for module in names.held_modules()
            ):
                cut = Cut(call, ast.unparse(call), file, scope.path)
                (passing if passes else found).append(cut)
    if not found and frames:
        code, line = frames[0].f_code, frames[0].f_lineno
        mine = [e for e in passing if (e.file, e.function) == (code.co_filename, code.co_qualname)]
        found = sorted((e for e in mine if _line(e.node) < line), key=lambda e: _line(e.node))[-1:]
    return found[0] if len(found) == 1 else None


def _untoggled(sources: list[str]) -> set[str]:
    """The calls that undo a toggle, as they are written, from the word "toggle" on."""
    texts = (ast.unparse(tree) for file in sources if (tree := parse(file)) is not None)
    return {each for text in texts for each in re.findall(r"\.un(toggle\w*\(.*\))", text)}


def _freezes(method: Any, tensor: Any, module: Any) -> bool:
    """Whether an installed package's method sets the flag, and the module has the tensor."""
    code = getattr(method, "__code__", None)
    if code is None or not installed(code.co_filename):
        return False
    says = not {"requires_grad", "requires_grad_"}.isdisjoint(code.co_names)
    return says and any(each is tensor for each in parameters_in(module))


def _frozen(made: ast.expr) -> bool:
    """Whether it says ``Parameter(…, requires_grad=False)``."""
    if not isinstance(made, ast.Call) or not ast.unparse(made.func).endswith("Parameter"):
        return False
    told = [each.value for each in made.keywords if each.arg == "requires_grad"] or made.args[1:2]
    return bool(told) and isinstance(told[0], ast.Constant) and told[0].value is False


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _lines_run(log: Log) -> set[tuple[str, int]]:
    return {
        (code.co_filename, locate(code, offset).line)
        for _, code, offset, _ in log.marks
        if code is not None
    }


class _Search:
    def __init__(self, frames: list[FrameType], names: Names, sources: list[str], to: bool) -> None:
        self._values, self._names, self._sources = Values(frames, names), names, sources
        self._to, self.callers = to, dict[int, Scope]()  # The scopes that the calls stand in.

    def froze(self, freeze: Freeze, tensor: Any) -> ast.AST | Literal[False] | None:
        """The node to name if the statement set `tensor`'s flag so: the statement itself or,
        where the value is an argument of a function, the call that gave it. False if it did not,
        None if that cannot be told."""
        if constant(freeze.value) is (not self._to):
            return False
        given = self._arguments(freeze.scope)
        if given is None:
            return self._once(freeze, tensor, {}, freeze.statement)
        verdicts = []
        value = freeze.value
        for call, bound in given:
            # A helper that only says `requires_grad = flag` is told what to do by its caller.
            told = isinstance(value, ast.Name) and value.id in bound
            node = call if told else freeze.statement
            verdicts.append(self._once(freeze, tensor, bound, node))
        done = [each for each in verdicts if each is not None and each is not False]
        if done:
            return done[-1]
        return None if None in verdicts or not verdicts else False

    def _once(
        self, freeze: Freeze, tensor: Any, bound: Round, node: ast.AST
    ) -> ast.AST | Literal[False] | None:
        unknown = False
        for known in self._rounds(freeze, list(freeze.around), bound):
            if known is None:
                unknown = True
                continue
            holders = self.held(freeze.holder, freeze.scope, known)
            if holders is None:
                unknown = True
                continue
            if not any(each is tensor for each in holders):
                continue
            value = self._value(freeze.value, freeze.scope, known)
            if value is LOST:
                unknown = True
            elif bool(value) is self._to:
                return node
        return None if unknown else False

    def _rounds(self, freeze: Freeze, around: list[Any], known: Round) -> Iterator[Round | None]:
        """What the variables stand for in each round of the loops in which the conditions hold;
        None for one that is not known."""
        if not around:
            yield known
            return
        first, rest = around[0], around[1:]
        if isinstance(first, tuple):
            test = self._value(first[0], freeze.scope, known)
            # A switch such as `if args.freeze:` must have been on for the tensor to be frozen.
            names = {n.id for n in ast.walk(first[0]) if isinstance(n, ast.Name)}
            if test is LOST and names & known.keys():
                yield None
            elif test is LOST or bool(test) is first[1]:
                yield from self._rounds(freeze, rest, known)
            return
        over = self._over(first.iter, freeze.scope, known)
        if over is None:
            yield None
            return
        for value in over[:_ROUNDS]:
            inner = {**known, **bound_to(first.target, value)}
            yield from self._rounds(freeze, rest, inner)

    def _value(self, node: ast.expr, scope: Scope, known: Round) -> Any:
        return value_of(node, lambda name: self._name(name, scope, known))

    def _name(self, name: str, scope: Scope, known: Round) -> Any:
        if name in known:
            return known[name]
        found = self._values.of(ast.Name(name, ast.Load()), scope)
        if found is LOST and scope.function is not None and not self._values.runs(scope):
            return self._built(name, scope)
        return found

    def _built(self, name: str, scope: Scope) -> Any:
        """The module that a function which has returned built as `name`: the only one of the class
        that the source says."""
        for made in assigned(name, scope):
            func = made.func if isinstance(made, ast.Call) else None
            kind = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            held = [each for each in self._names.held_modules() if class_name(each) == kind]
            if len(held) == 1:
                return held[0]
        return LOST

    def _object(self, node: ast.expr, scope: Scope, known: Round) -> Any:
        return evaluate(node, lambda name: self._name(name, scope, known))

    def held(self, node: ast.expr, scope: Scope, known: Round) -> list[Any] | None:
        """The tensors whose flag a statement sets, by what it calls requires_grad of."""
        found = self._object(node, scope, known)
        if found is LOST:
            mine = self._self(node, scope)
            return mine
        if is_tensor(found):
            return [found]
        return parameters_in(found) if is_module(found) else []

    def _self(self, node: ast.expr, scope: Scope) -> list[Any] | None:
        """For ``self`` of a method that has returned: all modules of its class."""
        if scope.owner is None or not ast.unparse(node).startswith("self"):
            return None
        found = []
        for each in self._names.held_modules():
            if class_name(each) == scope.owner:
                value = evaluate(node, lambda name, each=each: each if name == "self" else LOST)
                if is_module(value):
                    found += parameters_in(value)
                elif is_tensor(value):
                    found.append(value)
        return found or None

    def _over(self, node: ast.expr, scope: Scope, known: Round) -> list[Any] | None:
        """What a loop runs over; None if that is not known."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._of_module(node.func, scope, known)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = [self._over(each, scope, known) for each in node.args]
            if any(each is None for each in given) or not given:
                return None
            if node.func.id == "enumerate":
                return [*enumerate(given[0] or [])]
            if node.func.id == "chain":
                return [value for each in given for value in each or []]
            return given[0] if node.func.id in ("list", "tuple", "iter", "set") else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            one, two = (self._over(e, scope, known) for e in (node.left, node.right))
            return [*one, *two] if one is not None and two is not None else None
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            whole = self._over(node.value, scope, known)
            ends = [
                None if each is None else self._value(each, scope, known)
                for each in (node.slice.lower, node.slice.upper)
            ]
            if whole is None or not all(type(each) is int or each is None for each in ends):
                return None
            return whole[ends[0] : ends[1]]
        if isinstance(node, ast.List | ast.Tuple):
            found: list[Any] = []
            for each in node.elts:
                if isinstance(each, ast.Starred):
                    inner = self._over(each.value, scope, known)
                    if inner is None:
                        return None
                    found += inner
                else:
                    value = self._object(each, scope, known)
                    if value is LOST:
                        return None
                    found.append(value)
            return found
        value = self._object(node, scope, known)
        if is_a(value, (list, tuple)):
            return [each for _, each in items(value)]
        if is_module(value):
            return [each for _, each in items(attributes(value).get("_modules"))]
        return None

    def _of_module(self, func: ast.Attribute, scope: Scope, known: Round) -> list[Any] | None:
        """What ``module.parameters()`` and its like give."""
        if func.attr == "chain":
            return None
        holder = self._object(func.value, scope, known)
        if not is_module(holder):
            if scope.owner is not None and ast.unparse(func.value).startswith("self"):
                mine = self._self(func.value, scope)
                return mine if func.attr == "parameters" else None
            return None
        if func.attr == "parameters":
            return parameters_in(holder)
        if func.attr == "named_parameters":
            return named_parameters(holder)
        if func.attr in ("modules", "named_modules"):
            found = [*submodules(holder)]
            return found if func.attr == "named_modules" else [each for _, each in found]
        if func.attr in ("children", "named_children"):
            inner = [(str(k), v) for k, v in items(attributes(holder).get("_modules"))]
            return inner if func.attr == "named_children" else [each for _, each in inner]
        return None

    def _arguments(self, scope: Scope) -> list[tuple[ast.Call, Round]] | None:
        """For a function that has returned: its calls, with what they gave it. None for one whose
        frame still runs, and for the module itself."""
        function = scope.function
        if function is None or self._values.runs(scope):
            return None
        found = []
        arguments = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if scope.owner is not None:
            arguments = arguments[1:]
        for around, call in self._every_call(scope):
            func = call.func
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            if name != function.name or len(found) >= _CALLS:
                continue
            bound: Round = dict(defaults(function))
            for word, node in zip(arguments, call.args, strict=False):
                bound[word] = self._given(node, around)
            for each in call.keywords:
                if each.arg is not None:
                    bound[each.arg] = self._given(each.value, around)
            found.append((call, {k: value for k, value in bound.items() if value is not LOST}))
            self.callers[id(call)] = around
        return found or None

    def _every_call(self, scope: Scope) -> Iterator[tuple[Scope, ast.Call]]:
        for file in dict.fromkeys([scope.file, *self._sources]):
            tree = parse(file)
            yield from calls_in(tree.body if tree is not None else [], Scope(file))

    def _given(self, node: ast.expr, scope: Scope) -> Any:
        if isinstance(node, ast.List | ast.Tuple):
            found = [self._values.of(each, scope) for each in node.elts]
            return LOST if any(each is LOST for each in found) else found
        return value_of(node, lambda name: self._name(name, scope, {}))

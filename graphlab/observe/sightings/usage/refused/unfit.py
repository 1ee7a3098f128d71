"""Tells what torch was given that does not fit: a ``.grad`` of another shape or type, or, by a
function that torch.func was to differentiate, no single number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from types import FrameType, FunctionType, MethodType
from typing import Any

from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.refusals.traceback import TracebackEntry, entries_of
from graphlab.observe.sightings.usage.refused.transforms import applied
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, dtype_of, is_tensor, shape_of
from graphlab.source.effects.assignments import scope_of
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles
from graphlab.source.objects import attribute, exactly, is_a
from graphlab.source.places import expression_of, line_place, parse, statement_at
from graphlab.source.wording import call_text
from graphlab.trace.functions.sightings import GivenUnfit

# Where torch.func checks what a function gave it.
_CHECKED = "grad_and_value_impl", "torch/_functorch/eager_transforms.py"
_SAVED = re.compile(r"save_for_backward .* argument (\d+) is of type (\w+)")
# What torch says where vmap is to give one value of a tensor that has one for each it maps.
_VALUE = "vmap: It looks like you're"
_SHAPES = re.compile(r"\[([\d, ]*)\]")


class GivenRefused:
    def __init__(self, watched: Watched) -> None:
        self._files = watched.files
        self._found: GivenUnfit | None = None

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the error tells."""

    def found(self) -> Iterator[GivenUnfit]:
        if self._found is not None:
            yield self._found

    def raised(self, error: BaseException) -> None:
        """The program has ended with `error`."""
        self._found = given_unfit(error, self._files)


def given_unfit(error: BaseException, files: UserFiles) -> GivenUnfit | None:
    """What was refused with `error` as it did not fit; None if it is another error."""
    if type(error) not in (RuntimeError, TypeError):
        return None
    entries = entries_of(error.__traceback__)
    with Unnoticed():
        if type(error) is TypeError:
            return _saved(entries, files, str(error))
        return _told(entries, files, str(error))


def _told(entries: list[TracebackEntry], files: UserFiles, said: str) -> GivenUnfit | None:
    mine = [each for each in entries if each[0].f_code in files]
    if not mine:
        return None
    last = entries[-1][0]
    if last.f_code in files and said.startswith(_VALUE):
        return _asked(mine[-1])
    if last.f_code in files:
        return _assigned(mine[-1], files, said)
    name, path = _CHECKED
    code = last.f_code
    if code.co_name != name or not code.co_filename.replace("\\", "/").endswith(path):
        return None
    return _of_function(mine[-1], last, files)


def _assigned(entry: TracebackEntry, files: UserFiles, said: str) -> GivenUnfit | None:
    """What ``p.grad = x`` was refused for, by the facts of both where they can be read, and by
    the shapes that torch names where those are the parameter's."""
    frame, at = entry[0], located((entry[0].f_code, entry[1]))
    statement = statement_at(at.file, at.line) if at is not None else None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if at is None or not isinstance(target, ast.Attribute) or target.attr != "grad":
        return None
    assert isinstance(statement, ast.Assign)
    own, given = in_frame(target.value, frame), in_frame(statement.value, frame)
    if not is_tensor(own):
        return None
    wanted = tuple(shape_of(own))
    named = [tuple(int(n) for n in each.split(",") if n.strip()) for each in _SHAPES.findall(said)]
    shape = tuple(shape_of(given)) if is_tensor(given) else None
    if shape is None and len(named) == 2 and named[1] == wanted:
        shape = named[0]
    tensor = Names(files).gather_frames([frame]).tensors.get(id(own))
    name = tensor.name if tensor is not None else ast.unparse(target.value)
    call = ast.unparse(target)
    if shape is not None and shape != wanted:
        return GivenUnfit(at, call, "shape", name, (wanted, shape), None)
    if is_tensor(given) and dtype_of(given) != dtype_of(own):
        return GivenUnfit(at, call, "type", name, (wanted, wanted), None)
    return None


def _asked(entry: TracebackEntry) -> GivenUnfit | None:
    """An ``if``, a loop or a call that asks for the one value of a mapped tensor."""
    at = located((entry[0].f_code, entry[1]))
    statement = statement_at(at.file, at.line) if at is not None else None
    node = expression_of(entry[0].f_code, entry[1])
    if at is None or statement is None:
        return None
    if isinstance(node, ast.Call):
        call, of = ast.unparse(node), node.args[0] if node.args else node.func
        of = of.value if isinstance(of, ast.Attribute) and not node.args else of
        return GivenUnfit(at, call, "asked", ast.unparse(of), ((), ()), None)
    if isinstance(statement, ast.If | ast.While | ast.Assert):
        word, test = type(statement).__name__.lower(), ast.unparse(statement.test)
        return GivenUnfit(at, f"{word} {test}", "asked", test, ((), ()), None)
    return None


def _of_function(entry: TracebackEntry, checked: FrameType, files: UserFiles) -> GivenUnfit | None:
    values = checked.f_locals
    output, func = values.get("output"), values.get("func")
    if type(func) is MethodType:
        func = func.__func__
    if type(func) is not FunctionType or func.__code__ not in files:
        return None
    code, at = func.__code__, located((entry[0].f_code, entry[1]))
    within = line_place(code.co_filename, code.co_firstlineno, code.co_qualname)
    why = "several" if is_tensor(output) else "tuple"
    if why == "tuple" and not exactly(output, tuple):
        return None
    return GivenUnfit(at, call_text(at, "grad")[0], why, func.__name__, ((), ()), within)


def _saved(entries: list[TracebackEntry], files: UserFiles, said: str) -> GivenUnfit | None:
    """What a custom Function gave save_for_backward() that is no tensor: torch looks at it after
    forward has returned, so that no frame of it is left."""
    told = _SAVED.search(said)
    mine = [each for each in entries if each[0].f_code in files]
    if told is None or not mine:
        return None
    kind: Any = next((f.f_locals["cls"] for f, _ in entries if "cls" in f.f_locals), None)
    kind = kind if is_a(kind, type) else applied(*entries[-1])
    methods = (own_code(kind, each) for each in ("setup_context", "forward"))
    code = next((each for each in methods if each is not None and each in files), None)
    scope = (
        scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        if code is not None
        else None
    )
    calls = [
        each
        for each in (ast.walk(scope) if scope is not None else ())
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr == "save_for_backward"
    ]
    if code is None or len(calls) != 1 or len(calls[0].args) <= int(told[1]):
        return None
    at = located((mine[-1][0].f_code, mine[-1][1]))
    within = line_place(code.co_filename, calls[0].lineno, code.co_qualname)
    name = ast.unparse(calls[0].args[int(told[1])])
    call = f"{type.__dict__['__name__'].__get__(kind)}.apply()"
    return GivenUnfit(at, call, "saved", name, ((), ()), within, told[2])


def own_code(kind: Any, method: str) -> Any:
    """The code of a method of the class's own."""
    return getattr(attribute(kind, method), "__code__", None) if kind is not None else None

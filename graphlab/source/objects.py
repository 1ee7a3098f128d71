"""Reads the type and contents of the program's objects without running any of its code.

Nothing here raises, or calls a property, ``__getattr__``, ``__getitem__``, ``__class__``,
``__repr__`` or ``__eq__`` of a class that is not built in. Attributes are read from where Python
stores them: the object's dictionary, a slot, or the class.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Returned where there is no value, or where reading it would run code.
LOST: Any = object()

# The dictionaries that torch.nn.Module.__getattr__ looks names up in.
DRAWERS = ("_parameters", "_buffers", "_modules")

_subclass = type.__subclasscheck__
_mro = type.__dict__["__mro__"].__get__
_members = type.__dict__["__dict__"].__get__
_PROXY = type(_members(object))
# By the identity of the class, which may not be hashed: its metaclass is the program's.
_getters: dict[int, tuple[type, Callable[[Any], Any]]] = {}
_MOST = 4_096
_of_a_module = vars(types.ModuleType)["__dict__"].__get__
# A frame's variables: a dictionary up to Python 3.12, a view of the frame's own since 3.13.
_LOCALS = type((lambda: __import__("sys")._getframe().f_locals)())


def is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Like `isinstance`, but by the object's real type only: ``__class__`` may be a property, and a
    metaclass may define ``__instancecheck__``."""
    if type(kind) is tuple:
        for each in kind:  # noqa: SIM110 (a generator takes three times as long)
            if _subclass(each, type(value)):
                return True
        return False
    return _subclass(kind, type(value))  # pyright: ignore[reportArgumentType]


def exactly(value: Any, *kinds: type) -> bool:
    """Whether its type is one of `kinds`, compared by identity: ``==`` and ``in`` would call the
    ``__eq__`` of a metaclass."""
    kind = type(value)
    for each in kinds:  # noqa: SIM110 (as above)
        if kind is each:
            return True
    return False


def class_name(value: Any) -> str:
    """The name of an object's class."""
    return type.__dict__["__name__"].__get__(type(value))


def class_module(value: Any) -> str:
    """The dotted name of the module that defines an object's class; "" if it is not a string."""
    found = static(type(value), "__module__")
    return found if type(found) is str else ""


def static(kind: type, name: str) -> Any:
    """The attribute `name` of a class or its bases as stored, without descriptor calls; or LOST."""
    for base in _mro(kind):
        own = _members(base)
        if name in own:
            return own[name]
    return LOST


def attributes(value: Any) -> dict[str, Any]:
    """The object's own dictionary; empty if it has none. Callers must not write to it."""
    kind = type(value)
    known = _getters.get(id(kind))
    if known is None or known[0] is not kind:
        if len(_getters) >= _MOST:
            _getters.clear()
        known = _getters[id(kind)] = kind, _getter_of(kind)
    own = known[1](value)
    return own if type(own) is dict else {}


def _getter_of(kind: type) -> Callable[[Any], Any]:
    """What reads the dictionary of a class's objects."""
    if _subclass(type, kind):
        return lambda value: dict(_members(value))
    found = static(kind, "__dict__")
    if exactly(found, types.GetSetDescriptorType, types.MemberDescriptorType):
        return found.__get__
    if _subclass(types.ModuleType, kind):
        return _of_a_module
    # There is none, or the class defines a property of that name.
    return lambda value: None


def attribute(value: Any, name: str) -> Any:
    """``value.name`` if it is stored, else LOST: an entry of the object's dictionary, a module's
    parameter, buffer or submodule, a slot, a method, or a constant of the class."""
    if is_a(value, type):
        found = static(value, name)
        if type(found) is classmethod:
            return types.MethodType(found.__func__, value)
        return found if type(found) is property else _constant(found)
    own = attributes(value)
    if name in own:
        return own[name]
    for drawer in DRAWERS:
        kept: Any = own.get(drawer)
        if is_a(kept, dict) and dict.__contains__(kept, name):
            return dict.__getitem__(kept, name)
    found = static(type(value), name)
    kind = type(found)
    if kind is types.MemberDescriptorType:
        try:
            return found.__get__(value)
        except AttributeError:
            return LOST
    if kind is types.FunctionType:
        return types.MethodType(found, value)
    if kind is classmethod:
        return types.MethodType(found.__func__, type(value))
    return _constant(found)


def _constant(found: Any) -> Any:
    """The value of a class attribute, or LOST if reading it would run a descriptor."""
    if type(found) is staticmethod:
        return found.__func__
    if found is LOST or type(found) is types.FunctionType:
        return found
    return LOST if static(type(found), "__get__") is not LOST else found


def item(value: Any, key: Any) -> Any:
    """``value[key]`` of a built-in container or a subclass, for a string or integer key, or LOST. A
    subclass's ``__getitem__`` or ``__missing__`` is not called."""
    if type(key) is not str and type(key) is not int:
        return LOST
    if is_a(value, dict):
        return dict.get(value, key, LOST)
    for kind in (list, tuple):
        if is_a(value, kind) and type(key) is int:
            size = kind.__len__(value)
            return kind.__getitem__(value, key) if -size <= key < size else LOST
    getter = static(type(value), "__getitem__")
    if type(getter) is types.FunctionType and getter.__module__.startswith("torch.nn."):
        return _of_module(attributes(value), key)
    return LOST


def _of_module(own: dict[str, Any], key: str | int) -> Any:
    """A member of ModuleList, ParameterDict and the like, by its name or index."""
    for drawer in ("_modules", "_parameters"):
        kept = own.get(drawer)
        if type(kept) is dict and kept:
            return kept.get(key, LOST) if type(key) is str else item(list(kept.values()), key)
    return LOST


def items(value: Any, limit: int | None = None) -> Iterator[tuple[str | int, Any]]:
    """The entries (key, value) of a dictionary, list or tuple, at most `limit`. Keys that are
    neither strings nor integers are left out."""
    if is_a(value, dict):
        # A copy, because another thread may write to it during the loop.
        pairs: Any = list(itertools.islice(dict.items(value), limit))
        yield from ((key, each) for key, each in pairs if type(key) is str or type(key) is int)
        return
    for kind in (list, tuple):
        if is_a(value, kind):
            yield from enumerate(list(itertools.islice(kind.__iter__(value), limit)))
            return


def read_by_key(value: Any, name: str) -> dict[str, Any] | None:
    """The one dictionary behind an object that is read by key, where the private attribute `name`
    leads to it: ``td["x"]`` is ``td._tensordict["x"]``, and there may be one such object between
    the two. None if it does not."""
    if not name.startswith("_"):
        return None
    kept = _behind_key(value, name)
    if type(kept) is dict:
        return kept
    further = [_behind_key(kept, each) for each in attributes(kept) if each[:1] == "_"]
    found = [each for each in further if type(each) is dict]
    return found[0] if kept is not None and len(found) == 1 else None


def _behind_key(value: Any, name: str) -> Any:
    """What the attribute is of an object that has `__getitem__` and no other dictionary with
    anything in it; None if it is not such a one."""
    own, kind = attributes(value), type(value)
    kept = own.get(name)
    if LOST in (static(kind, "__getitem__"), static(kind, "__setitem__")):
        return None
    others = [key for key, each in [*own.items()] if type(each) is dict and each and key != name]
    if others or (type(kept) is dict and not all(type(key) is str for key in [*kept])):
        return None
    return kept if kept is not None and (type(kept) is not dict or kept) else None


def length(value: Any) -> int | None:
    """``len(value)`` of a list, tuple, dictionary, set, range or a subclass; None for the rest."""
    for kind in (list, tuple, dict, set, frozenset, range):
        if is_a(value, kind):
            return kind.__len__(value)
    return None


def fields(value: Any) -> tuple[str, ...]:
    """The field names of a named tuple; empty for any other object."""
    found = static(type(value), "_fields") if is_a(value, tuple) else LOST
    if type(found) is not tuple or not all(type(each) is str for each in found):
        return ()
    return found


def variables(space: Any) -> dict[str, Any]:
    """The variables of a frame or module by name. Empty if the namespace is of a class of the
    program's own, as may be passed to ``exec``."""
    if not exactly(space, dict, _LOCALS, _PROXY):
        if not is_a(space, dict):
            return {}
        pairs = list(dict.items(space))
    else:
        pairs = list(space.items())
    return {name: value for name, value in pairs if type(name) is str}


def lookup(name: str, *spaces: Mapping[str, Any]) -> Any:
    """A variable's value in the first of `spaces` that has it, or LOST."""
    for space in spaces:
        if not exactly(space, dict, _LOCALS, _PROXY):
            if is_a(space, dict) and dict.__contains__(space, name):  # pyright: ignore
                return dict.__getitem__(space, name)  # pyright: ignore
        elif name in space:
            return space[name]
    return LOST

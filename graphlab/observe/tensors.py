"""Reads facts of a tensor (shape, version, memory) without running any of the program's code.

A subclass may override attributes or refuse them (a lazy parameter has no shape, a nested tensor no
strides), and a torch function mode sees every operation. So each fact is read by the getter of
`torch._C.TensorBase`, and a refusal gives a default instead of an exception. Whatever computes
something has to be in an `Unnoticed` block.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.errors import pass_on
from graphlab.source.objects import attributes, exactly, static
from graphlab.trace.values import Kind, TensorInfo

# The version of a tensor that has no counter.
UNKNOWN = -1
_native: Any = torch._C
_Base: Any = _native.TensorBase
_shape, _dtype, _device = (_Base.__dict__[name].__get__ for name in ("shape", "dtype", "device"))
_grad, _grad_fn, _base = (_Base.__dict__[name].__get__ for name in ("grad", "grad_fn", "_base"))
_version, _layout = (_Base.__dict__[name].__get__ for name in ("_version", "layout"))
_quantized = _Base.__dict__["is_quantized"].__get__
# The getters themselves: a function around one takes several times as long.
requires_grad: Callable[[Any], bool] = _Base.__dict__["requires_grad"].__get__
is_leaf: Callable[[Any], bool] = _Base.__dict__["is_leaf"].__get__
is_nested: Callable[[Any], bool] = _Base.__dict__["is_nested"].__get__
_is_cpu = _Base.__dict__["is_cpu"].__get__
_storage: Any = _Base.untyped_storage

_no_dispatch = static(torch.Tensor, "__torch_dispatch__")
_subclass = type.__subclasscheck__
# Private to torch. Without them, the program's modes see the observer's calls.
_functions_off: Any = getattr(_native, "DisableTorchFunction", contextlib.nullcontext)
_dispatch_modes: Any = getattr(_native, "_len_torch_dispatch_stack", lambda: 1)
no_dispatch: Any = getattr(_native, "_DisableTorchDispatch", contextlib.nullcontext)


class Unnoticed:
    """A block in which no torch function or dispatch mode, and no subclass, of the program's is
    called. Costs less than a microsecond."""

    __slots__ = ("_dispatch", "_functions")

    def __enter__(self) -> None:
        self._functions, self._dispatch = _functions_off(), None
        self._functions.__enter__()
        if _dispatch_modes():
            self._dispatch = no_dispatch()
            self._dispatch.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._dispatch is not None:
            self._dispatch.__exit__(None, None, None)
        self._functions.__exit__(None, None, None)


def unnoticed() -> Any:
    """An `Unnoticed` block, made and left in C where no dispatch mode is on."""
    return Unnoticed() if _dispatch_modes() else _functions_off()


def is_tensor(value: Any) -> bool:
    return _subclass(torch.Tensor, type(value))


def is_module(value: Any) -> bool:
    return _subclass(torch.nn.Module, type(value))


def is_parameter(value: Any) -> bool:
    """Whether it is a Parameter, or a subclass's tensor with torch's `_is_param` mark."""
    kind = type(value)
    if kind is torch.Tensor or not _subclass(torch.Tensor, kind):
        return False
    return _subclass(torch.nn.Parameter, kind) or attributes(value).get("_is_param") is True


def tensors_in(value: Any) -> Iterator[Any]:
    """`value` if it is a tensor, or the tensors of a tuple or list."""
    for each in value if exactly(value, tuple, list) else (value,):
        if is_tensor(each):
            yield each


def _is_one(value: Any) -> bool:
    return type(value) is torch.Tensor or type(value) is torch.nn.Parameter


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Its sizes; () if it has none, like a nested tensor. A symbolic size, as under torch.export,
    counts as 0."""
    try:
        shape = tuple(_shape(tensor))
        for each in shape:
            if type(each) is not int:
                return tuple(each if type(each) is int else 0 for each in shape)
        return shape
    except Exception as error:
        pass_on(error)
        return ()


def dtype_of(tensor: Any) -> str:
    """`float32`."""
    return dtype_name(_dtype(tensor))


_dtype_names: dict[Any, str] = {}


def dtype_name(dtype: Any) -> str:
    """The name of a `torch.dtype`."""
    name = _dtype_names.get(dtype)
    if name is None:
        name = _dtype_names[dtype] = str(dtype).removeprefix("torch.")
    return name


def is_view(tensor: Any) -> bool:
    return _Base._is_view(tensor)


def is_complex(tensor: Any) -> bool:
    return _dtype(tensor).is_complex


def base_of(tensor: Any) -> Any:
    """What it is a view of, or None."""
    try:
        return _base(tensor) if _Base._is_view(tensor) else None
    except RuntimeError:
        return None


def grad_of(tensor: Any) -> Any:
    """Its ``.grad``; None for a non-leaf subclass, where reading it would make torch warn."""
    if not _is_one(tensor) and not is_leaf(tensor):
        return None
    return _grad(tensor)


def grads_of(parameters: list[Any]) -> list[Any]:
    """The ``.grad`` of each of an optimizer's parameters, which are leaves."""
    return [*map(_grad, parameters)]


def grad_fn_of(tensor: Any) -> Any:
    """Its node; None if it has none, or torch raises (a view whose base was written in a way that
    autograd forbids)."""
    try:
        return _grad_fn(tensor)
    except RuntimeError:
        return None


def refusal_of(view: Any) -> str:
    """The message that torch raises when the grad_fn of `view` is read; "" if it raises none."""
    try:
        _grad_fn(view)
    except RuntimeError as error:
        return str(error)
    return ""


def device_of(tensor: Any) -> str:
    """The kind of its device: `cpu`, `cuda`."""
    # Many times faster than to make a device and its name.
    return "cpu" if _is_cpu(tensor) else _device(tensor).type


def bytes_of(tensor: Any) -> int:
    """The size of its elements in bytes; 0 if it has no storage."""
    try:
        return count_of(tensor) * _Base.element_size(tensor)
    except Exception as error:
        pass_on(error)
        return 0


def count_of(tensor: Any) -> int:
    """Its number of elements; 0 if that is not known."""
    try:
        count = _Base.numel(tensor)
    except Exception as error:
        pass_on(error)
        return 0
    return count if type(count) is int else 0


def describe(tensor: Any, name: str | None, kind: Kind, owner: str | None = None) -> TensorInfo:
    """The tensor as plain data."""
    return TensorInfo(
        name=name,
        kind=kind,
        shape=shape_of(tensor),
        dtype=dtype_of(tensor),
        owner=owner,
        requires_grad=bool(requires_grad(tensor)),
    )


@dataclass(frozen=True, slots=True)
class Named:
    """How a tensor is called. `owner` is the variable that holds it or its module."""

    name: str
    kind: Kind
    owner: str | None


def kind_of(tensor: Any) -> Kind:
    if is_parameter(tensor):
        return "parameter"
    if not requires_grad(tensor):
        return "input"
    # A view's grad_fn is not read: torch makes a new one, or raises, if its base was written.
    return "parameter" if not is_view(tensor) and is_leaf(tensor) else "activation"


def storage_key(tensor: Any) -> int | None:
    """A number that all views of one storage share; None if there is no storage. Private to torch:
    `UntypedStorage._cdata`."""
    try:
        storage = _storage(tensor)
    except Exception as error:
        pass_on(error)
        return None
    try:
        return storage._cdata
    except AttributeError:
        return storage.data_ptr()


def byte_span(tensor: Any) -> tuple[int, int]:
    """First and one-past-last byte that `tensor` may touch, counted within its storage; (0, 0)
    where it has no strides."""
    layout = laid_out(tensor)
    if layout is None:
        return 0, 0
    size = _Base.element_size(tensor)
    first = layout[2] * size
    if 0 in layout[0]:
        return first, first
    reach = 0
    for count, step in zip(layout[0], layout[1], strict=True):
        reach += (count - 1) * step
    return first, first + (reach + 1) * size


def laid_out(tensor: Any) -> tuple[tuple[int, ...], tuple[int, ...], int] | None:
    """Its sizes, strides and offset; None if it has none, or one is symbolic: computing with it
    would add a guard to what traces the program."""
    try:
        shape, steps = tuple(_shape(tensor)), tuple(_Base.stride(tensor))
        offset = _Base.storage_offset(tensor)
    except Exception as error:
        pass_on(error)
        return None
    for each in (offset, *shape, *steps):
        if type(each) is not int:
            return None
    return shape, steps, offset


def address_of(tensor: Any) -> int:
    """The address of its first element; 0 if it has none, or if reading it would make torch warn (a
    fake tensor)."""
    if not _is_one(tensor) and not readable(tensor):
        return 0
    try:
        return _Base.data_ptr(tensor)
    except Exception as error:
        pass_on(error)
        return 0


def overlap(one: Any, other: Any) -> bool:
    """Whether two tensors of one storage share bytes."""
    (a, b), (c, d) = byte_span(one), byte_span(other)
    return a < d and c < b


def same_place(one: Any, other: Any) -> bool:
    """Whether two tensors of one storage cover the same elements in the same order."""
    layout = laid_out(one)
    return layout is not None and layout == laid_out(other)


def version_of(tensor: Any) -> int:
    """The version counter; an inference tensor has none."""
    try:
        return _version(tensor)
    except (RuntimeError, AttributeError):
        return UNKNOWN


def versions_of(tensors: list[Any]) -> list[int]:
    """The version counter of each."""
    try:
        return [*map(_version, tensors)]
    except (RuntimeError, AttributeError):
        return [*map(version_of, tensors)]


def grad_versions(grads: list[Any]) -> list[int]:
    """The version counter of each gradient, 0 for None."""
    try:
        return [0 if grad is None else _version(grad) for grad in grads]
    except (RuntimeError, AttributeError):
        return [0 if grad is None else version_of(grad) for grad in grads]


# By `id()`: a metaclass may define `__hash__`.
_plain_types: dict[int, tuple[type, bool]] = {}


def readable(tensor: Any) -> bool:
    """Whether its values can be computed with now: it has some, which no `__torch_dispatch__` class
    and no transform wraps, is not quantized or nested, and no CUDA graph is being captured."""
    kind = type(tensor)
    known = _plain_types.get(id(kind))
    if known is None:
        own = _subclass(torch.nn.parameter.UninitializedTensorMixin, kind)  # pyright: ignore
        plain = not own and static(kind, "__torch_dispatch__") is _no_dispatch
        known = _plain_types[id(kind)] = kind, plain
    if not known[1] or _quantized(tensor) or is_nested(tensor):
        return False
    if _layout(tensor) not in _LAYOUTS or (not _is_cpu(tensor) and _out_of_reach(tensor)):
        return False
    if _is_wrapped(tensor) or _is_functional(tensor):
        return False
    # FSDP takes the memory of a gathered parameter away, and leaves its shape.
    return _layout(tensor) == torch.sparse_coo or bool(_storage(tensor)) or not count_of(tensor)


def _out_of_reach(tensor: Any) -> bool:
    """Whether its device has no values, or its work is captured, which a read would break."""
    device = device_of(tensor)
    return device == "meta" or (device == "cuda" and torch.cuda.is_current_stream_capturing())


# Computing with a compressed sparse layout makes torch warn.
_LAYOUTS = (torch.strided, torch.sparse_coo)
_functorch: Any = getattr(_native, "_functorch", None)
_is_wrapped: Any = getattr(_functorch, "is_functorch_wrapped_tensor", lambda tensor: False)
_is_functional: Any = getattr(torch, "_is_functional_tensor", lambda tensor: False)


class Ref(weakref.ref[Any]):
    """A weak reference to a tensor that hooks/weak_references.py can tell from the program's."""

    __slots__ = ()


class WeakMap:
    """Values by the `id()` of objects, which need not be hashable, held weakly. Dead entries are
    removed in sweeps: a weak reference's callback could swallow a Ctrl-C."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Ref, Any]] = {}
        self._full = 64

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, key: Any, value: Any) -> None:
        known = self._entries.get(id(key))
        if known is not None and known[0]() is key:
            self._entries[id(key)] = (known[0], value)
            return
        if len(self._entries) >= self._full:
            self._entries = {
                at: each for at, each in self._entries.items() if each[0]() is not None
            }
            self._full = 2 * len(self._entries) + 64
        self._entries[id(key)] = (Ref(key), value)

    def get(self, key: Any) -> Any:
        known = self._entries.get(id(key))
        return known[1] if known is not None and known[0]() is key else None

    def alive(self) -> list[Any]:
        return [key for ref, _ in list(self._entries.values()) if (key := ref()) is not None]

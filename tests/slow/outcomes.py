"""What the cases of a sweep are compared by, and how one of them runs.

A case is a function of no arguments that returns a list of values. Its outcome is everything that
it could notice of how it ran.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy
import torch
from torch.utils._pytree import tree_leaves

Case = Callable[[], list[Any]]
# A session, or nothing.
Watch = Callable[[], AbstractContextManager[Any]]

# What no two runs of one program share: addresses, and counters of what was made before.
_PASSING = re.compile(r"0x[0-9a-f]+|___torch_mangle_\d+\.?|\bat 0x\w+|/tmp/\S+")


def plain(text: str) -> str:
    return _PASSING.sub("…", text)


def digest(value: Any) -> Any:
    """A value as JSON: a tensor's bits as a hash, with what autograd knows of it."""
    if not isinstance(value, torch.Tensor):
        return plain(repr(value))
    base = torch._C.TensorBase
    facts = [type(value).__name__, *(str(read(base, value)) for read in _FACTS)]
    try:
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            functional = torch._is_functional_tensor(value)
            flat = torch._from_functional_tensor(value) if functional else value.detach()
            if flat.is_quantized:
                flat = flat.int_repr()
            if flat.is_nested:
                flat = flat.values() if flat.layout == torch.jagged else flat.to_padded_tensor(0)
            if flat.layout != torch.strided:
                flat = flat.to_dense()
            flat = flat.resolve_conj().resolve_neg().reshape(-1)
            flat = flat.clone(memory_format=torch.contiguous_format)
            bits = flat.view(torch.uint8).numpy(force=True).tobytes()
    except (RuntimeError, TypeError, NotImplementedError, AttributeError) as error:
        return [*facts, type(error).__name__]
    return [*facts, hashlib.sha256(bits).hexdigest()[:16]]


def _fact(name: str) -> Callable[[Any, Any], Any]:
    def read(base: Any, tensor: Any) -> Any:
        try:
            return getattr(base, name).__get__(tensor)
        except Exception as error:
            return type(error).__name__

    return read


_FACTS = [_fact(name) for name in ("dtype", "layout", "requires_grad", "is_leaf", "_version")]


def numbers() -> list[str]:
    """Every generator of random numbers, where it stands."""
    states = torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()
    return [hashlib.sha256(repr(each).encode()).hexdigest()[:16] for each in states]


def seed() -> None:
    torch.manual_seed(1)
    random.seed(1)
    numpy.random.seed(1)


def frames_of(error: BaseException) -> list[str]:
    steps = traceback.extract_tb(error.__traceback__)
    found = [f"{each.filename.rpartition('/')[2]}:{each.lineno} {each.name}" for each in steps]
    return [each for each in found if not each.startswith(("outcomes.py", "<"))]


def attempt(case: Case) -> dict[str, Any]:
    seed()
    values: list[Any] = []
    raised, frames = None, []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            values = case()
        except Exception as error:
            notes = getattr(error, "__notes__", [])
            raised = [type(error).__qualname__, plain(str(error)), *notes]
            frames = frames_of(error)
    return {
        "raised": raised,
        "frames": frames,
        "values": [digest(each) for each in tree_leaves(values)],
        "warned": [[each.category.__name__, plain(str(each.message))] for each in said],
        "random": numbers(),
        "modes": [torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack()],
        "grad": torch.is_grad_enabled(),
    }


_SPACES = (
    torch, torch.Tensor, torch._C.TensorBase, torch.nn.Parameter, torch.nn.Module, torch._VF,
    torch._C._nn, torch.nn.functional, torch.nn.init, torch.autograd, torch.autograd.graph,
    torch.jit, torch.optim.Optimizer, torch.optim.Adam, torch.optim.SGD, torch.utils, numpy,
)  # fmt: skip


def surface() -> dict[str, Any]:
    """What a watcher could have left behind in torch and in Python."""
    found: dict[str, Any] = {"settrace": sys.gettrace(), "profile": sys.getprofile()}
    found["threading"] = threading.gettrace()
    found["hooks"] = sys.excepthook, threading.excepthook
    found["recursion limit"] = str(sys.getrecursionlimit())
    for at, space in enumerate(_SPACES):
        for name, value in list(vars(space).items()):
            if not name.startswith("__warning"):
                found[f"{at} {name}"] = value, getattr(value, "__code__", None)
    return found


def left_behind(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name, was in before.items():
        now = after.get(name)
        pairs = zip(was, now, strict=True) if type(was) is type(now) is tuple else [(was, now)]
        if any(one is not other and (type(one) is not str or one != other) for one, other in pairs):
            yield name

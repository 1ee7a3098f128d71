"""Tells which mistake an autograd error is about, by comparing it with this torch's own messages.

The wording changes between releases. So each mistake is made once, on scratch tensors, and the
error is compared with the messages that torch raises.
"""

from __future__ import annotations

import contextlib
import difflib
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from graphlab.observe.process_state import PROCESS

Mistake = Literal[
    "stale", "freed", "leaf", "view", "outright", "inference", "overlap", "non-leaf", "hook",
    "detached-view", "hook-value", "numpy", "integer",
]  # fmt: skip

# Messages contain names and numbers: how much of the beginning is compared, and how alike it is. A
# long name at the beginning counts for less in a longer piece.
_BEGINNING, _LONGER, _ALIKE = 90, 240, 0.8


def mistake_of(error: BaseException) -> Mistake | None:
    """The mistake that `error` is about, or None if it is like none of torch's messages."""
    return _likest(str(error)[:_LONGER], _messages())


@lru_cache(maxsize=256)
def _likest(text: str, messages: tuple[tuple[Mistake, str], ...]) -> Mistake | None:
    # A program may catch the same error again and again: it is compared once.
    for much in (_BEGINNING, _LONGER):
        said = text[:much]
        best, found = _ALIKE, None
        for mistake, words in messages:
            matcher = difflib.SequenceMatcher(None, words[:much], said, autojunk=False)
            if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
                continue
            likeness = matcher.ratio()
            if likeness >= best:
                best, found = likeness, mistake
        if found is not None:
            return found
    return None


# Those of `_messages`, once each mistake was made.
_KNOWN: list[tuple[tuple[Mistake, str], ...]] = []


def _messages() -> tuple[tuple[Mistake, str], ...]:
    if not _KNOWN:
        found = _made()
        if len(found) < len(_MISTAKES):
            # Such as near the end of the stack: they are made again the next time.
            return found
        _KNOWN.append(found)
    return _KNOWN[0]


def _made() -> tuple[tuple[Mistake, str], ...]:
    import torch

    found: list[tuple[Mistake, str]] = []
    # Neither an open session nor a debugger should trace these.
    tracing = sys.gettrace()
    no_modes = getattr(torch._C, "DisableTorchFunction", contextlib.nullcontext)
    sys.settrace(None)
    PROCESS.hidden = threading.get_ident()
    try:
        # Whatever the program has set: no anomaly detection, no inference mode, and no torch
        # function mode, such as a default device.
        with (
            no_modes(),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autograd.set_detect_anomaly(False),
        ):
            for mistake, make in _MISTAKES:
                try:
                    make(torch)
                except RecursionError:
                    continue
                except (RuntimeError, TypeError) as error:
                    found.append((mistake, str(error)[:_LONGER]))
    finally:
        PROCESS.hidden = 0
        sys.settrace(tracing)
    return tuple(found)


def _write(torch: Any, tensor: Any) -> None:
    """By torch's own method, which a session has not wrapped."""
    torch._C.TensorBase.zero_(tensor)


def _stale(torch: Any) -> None:
    result = torch.ones(1, requires_grad=True).exp()
    loss = result.sum()
    _write(torch, result.detach())
    loss.backward()


def _freed(torch: Any) -> None:
    loss = torch.ones(1, requires_grad=True).exp().sum()
    loss.backward()
    loss.backward()


def _no_graph(torch: Any) -> None:
    torch.ones(1).sum().backward()


def _non_scalar(torch: Any) -> None:
    torch.ones(2, requires_grad=True).exp().backward()


def _unused(torch: Any) -> None:
    one, other = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    torch.autograd.grad(one.exp(), other)


def _not_differentiable(torch: Any) -> None:
    torch.autograd.grad(torch.ones(1, requires_grad=True).exp(), torch.ones(1))


def _leaf(torch: Any) -> None:
    _write(torch, torch.ones(1, requires_grad=True))


def _view_of_leaf(torch: Any) -> None:
    _write(torch, torch.ones(1, requires_grad=True)[0])


def _one_of_many(torch: Any) -> None:
    _write(torch, torch.ones(2, requires_grad=True).exp().unbind()[0])


def _base_of_many(torch: Any) -> None:
    base = torch.ones(2, requires_grad=True).exp()
    view = base.unbind()[0]
    _write(torch, base)
    view.exp()


def _made_without_grad(torch: Any) -> None:
    base = torch.ones(2, requires_grad=True).exp()
    with torch.no_grad():
        view = base[0]
    _write(torch, view)


def _made_by_a_function(torch: Any) -> None:
    class Alias(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, tensor: Any) -> Any:
            return tensor.view_as(tensor)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return gradients[0]

    _write(torch, Alias.apply(torch.ones(2, requires_grad=True).exp()))


def _inference(torch: Any) -> Any:
    with torch.inference_mode():
        return torch.ones(1)


def _inference_saved(torch: Any) -> None:
    torch.mul(_inference(torch), torch.ones(1, requires_grad=True))


def _inference_written(torch: Any) -> None:
    _write(torch, _inference(torch))


def _inference_required(torch: Any) -> None:
    torch._C.TensorBase.requires_grad_(_inference(torch))


def _overlapping(torch: Any) -> None:
    one = torch.ones(1)
    torch._C.TensorBase.add_(one.expand(2), one)


def _result_frozen(torch: Any) -> None:
    torch._C.TensorBase.requires_grad_(torch.ones(1, requires_grad=True).exp(), False)


def _result_flagged(torch: Any) -> None:
    torch.ones(1, requires_grad=True).exp().requires_grad = True


def _result_hooked(torch: Any) -> None:
    torch.ones(1, requires_grad=True).exp().register_post_accumulate_grad_hook(print)


def _hooked(torch: Any) -> None:
    torch.ones(1).register_hook(print)


def _retained(torch: Any) -> None:
    torch._C.TensorBase.retain_grad(torch.ones(1))


def _detached_view(torch: Any) -> None:
    torch._C.TensorBase.detach_(torch.ones(2, requires_grad=True).exp()[0])


def _to_numpy(torch: Any) -> None:
    torch.ones(1, requires_grad=True).numpy()


def _whole_numbers(torch: Any) -> None:
    torch.ones(1, dtype=torch.long).requires_grad = True


def _whole_numbers_asked(torch: Any) -> None:
    torch._C.TensorBase.requires_grad_(torch.ones(1, dtype=torch.long))


def _resized(torch: Any) -> None:
    _hook_gives(torch, lambda gradient: gradient[0])


def _retyped(torch: Any) -> None:
    _hook_gives(torch, lambda gradient: gradient.long())


def _no_tensor(torch: Any) -> None:
    _hook_gives(torch, lambda gradient: 1)


def _no_tuple(torch: Any) -> None:
    result = torch.ones(2, requires_grad=True).exp()
    result.grad_fn.register_hook(lambda inputs, outputs: inputs[0])
    result.sum().backward()


def _hook_gives(torch: Any, hook: Callable[[Any], Any]) -> None:
    result = torch.ones(2, requires_grad=True).exp()
    result.register_hook(hook)
    result.sum().backward()


_MISTAKES: tuple[tuple[Mistake, Callable[[Any], None]], ...] = (
    ("stale", _stale),
    ("freed", _freed),
    ("outright", _no_graph),
    ("outright", _non_scalar),
    ("outright", _unused),
    ("outright", _not_differentiable),
    ("leaf", _leaf),
    ("leaf", _view_of_leaf),
    ("view", _one_of_many),
    ("view", _base_of_many),
    ("view", _made_without_grad),
    ("view", _made_by_a_function),
    ("inference", _inference_saved),
    ("inference", _inference_written),
    ("inference", _inference_required),
    ("overlap", _overlapping),
    ("non-leaf", _result_frozen),
    ("non-leaf", _result_flagged),
    ("non-leaf", _result_hooked),
    ("hook", _hooked),
    ("hook", _retained),
    ("detached-view", _detached_view),
    ("numpy", _to_numpy),
    ("integer", _whole_numbers),
    ("integer", _whole_numbers_asked),
    ("hook-value", _resized),
    ("hook-value", _retyped),
    ("hook-value", _no_tensor),
    ("hook-value", _no_tuple),
)

"""What an operation that torch dispatches is called, takes and writes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphlab.observe.tensors import is_tensor

# What a function of torch's calls for a constant that it has chosen itself.
CONSTANTS = ("scalar_tensor", "full", "full_like")


def name_of(func: Any) -> str:
    """``div`` for the operation `aten._foreach_div_.List`."""
    name: str = func.__name__.partition(".")[0]
    name = name.removeprefix("_foreach_").removeprefix("_fused_").strip("_")
    return _SHORT.get(name, name)


_SHORT = {
    "linalg_vector_norm": "norm", "safe_softmax": "softmax", "true_divide": "div",
    "native_layer_norm": "layer_norm", "native_batch_norm": "batch_norm",
    "nll_loss_forward": "nll_loss", "nll_loss2d_forward": "nll_loss2d",
}  # fmt: skip


def written_by(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The tensors among its arguments that an operation writes to."""
    schema = func._schema
    if not schema.is_mutable:
        return
    for at, each in enumerate(schema.arguments):
        if each.alias_info is not None and each.alias_info.is_write:
            value = args[at] if at < len(args) else kwargs.get(each.name)
            yield from tensors_in(value)


# In-place operations that use nothing of what was there.
_FILLS = (
    "fill_", "zero_", "copy_", "normal_", "uniform_", "random_", "bernoulli_", "exponential_",
    "_foreach_copy_", "_foreach_zero_", "set_", "out",
)  # fmt: skip


def overwrites(func: Any) -> bool:
    name, _, overload = func.__name__.partition(".")
    return name in _FILLS or overload.endswith("out")


def tensors_in(value: Any) -> Iterator[Any]:
    if is_tensor(value):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors_in(each)

"""Computes the outputs of a graph's nodes once more, from what they saved and from parameters.

Nothing of the program's runs: each node that is known here is one operation of torch's. What a node
forgot, as a constant that was added, is not guessed: its output stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from graphlab.observe.graph.walk import (
    is_function,
    leaf_of,
    operation,
    sequence,
    slots,
    unpacks_by_hook,
)
from graphlab.observe.tensors import count_of, is_tensor

# How many values are computed in all, before it is left.
_MOST = 1 << 26


class _Unknown(Exception):
    pass


class _Call:
    """What is known of one node: the tensors it saved and the outputs of the nodes before it."""

    def __init__(self, node: Any, saved: dict[str, Any], values: dict[Any, Any]) -> None:
        self._node, self._saved, self._values = node, saved, values

    def input(self, at: int = 0) -> Any:
        node, number = self._node.next_functions[at]
        if node is None:
            raise _Unknown
        leaf = leaf_of(node)
        if leaf is not None:
            return leaf.detach()
        value = self._values.get(node)
        if value is None:
            raise _Unknown
        kind = kind_of_node(node)
        if kind in _PARTS:
            return _PARTS[kind](value, _Call(node, {}, {}))[number]
        if number:
            raise _Unknown
        return value.detach()

    def inputs(self) -> list[Any]:
        return [self.input(at) for at in range(len(self._node.next_functions))]

    def saved(self, name: str, at: int = 0) -> Any:
        """The tensor that it saved under a name; else its input number `at`."""
        value = self._saved.get(name)
        return value.detach() if value is not None else self.input(at)

    def given(self, name: str) -> Any:
        """A tensor that it saved, or None where it had none."""
        value = self._saved.get(name)
        return value.detach() if value is not None else None

    def number(self, name: str) -> Any:
        value: Any = getattr(self._node, f"_saved_{name}", self)
        if value is self:
            raise _Unknown
        return tuple(map(_signed, value)) if isinstance(value, tuple | list) else _signed(value)

    @property
    def shape(self) -> Any:
        return torch.Size(_metadata(self._node).shape)


def _signed(value: Any) -> Any:
    """A dimension of -1 is kept as 2**64 - 1."""
    return value - 2**64 if type(value) is int and value >= 2**63 else value


def _metadata(node: Any) -> Any:
    """The shape and type of a node's first output. Private to torch: `Node._input_metadata`."""
    found: Any = getattr(node, "_input_metadata", None)
    if not found:
        raise _Unknown
    return found[0]


def _reduced(operation: Callable[..., Any], call: _Call) -> Any:
    value = call.input()
    if len(call.shape) == 0:
        return operation(value)
    return operation(value, call.number("dim"), call.number("keepdim"))


def _pow(call: _Call) -> Any:
    exponent = call.number("exponent")
    if type(exponent) not in (int, float):
        raise _Unknown
    return torch.pow(call.saved("self"), exponent)


def _indexed(call: _Call) -> Any:
    indices = call.number("indices")
    return call.input()[tuple(slice(None) if each is None else each for each in indices)]


def _layer_norm(call: _Call) -> Any:
    value = (call.saved("input") - call.saved("result1")) * call.saved("result2")
    weight, bias = call.given("weight"), call.given("bias")
    value = value if weight is None else value * weight
    return value if bias is None else value + bias


def _clamped(call: _Call) -> Any:
    return torch.clamp(call.saved("self"), call.number("min"), call.number("max"))


def _reshaped(call: _Call) -> Any:
    return call.input().reshape(call.shape)


def _unary(operation: Callable[[Any], Any]) -> Callable[[_Call], Any]:
    return lambda call: operation(call.saved("self"))


def _binary(operation: Callable[[Any, Any], Any]) -> Callable[[_Call], Any]:
    return lambda call: operation(call.saved("self", 0), call.saved("other", 1))


def _extreme(call: _Call) -> Any:
    """The largest or smallest along a dimension, by where it was found."""
    dim, found = call.number("dim"), call.saved("indices")
    if call.number("keepdim"):
        return call.input().gather(dim, found)
    return call.input().gather(dim, found.unsqueeze(dim)).squeeze(dim)


def _spread(call: _Call) -> Any:
    correction, dim = call.number("correction"), call.number("dim")
    correction = 1 if correction is None else correction
    return torch.var(call.saved("self"), dim, correction=correction, keepdim=call.number("keepdim"))


_REDUCTIONS = ("none", "mean", "sum")


def _loss(operation: Callable[..., Any], *names: str, **also: str) -> Callable[[_Call], Any]:
    """A loss of an input and a target, with weights of these names, and numbers by name."""

    def formula(call: _Call) -> Any:
        words: dict[str, Any] = {name: call.given(name) for name in names}
        words |= {name: call.number(kept) for name, kept in also.items()}
        reduction = _REDUCTIONS[call.number("reduction")]
        return operation(
            call.saved("self", 0), call.saved("target", 1), reduction=reduction, **words
        )

    return formula


_FORMULAS: dict[str, Callable[[_Call], Any]] = {
    "Add": lambda call: torch.add(call.input(0), call.input(1), alpha=call.number("alpha")),
    "Sub": lambda call: torch.sub(call.input(0), call.input(1), alpha=call.number("alpha")),
    "Neg": lambda call: -call.input(),
    "Mul": _binary(torch.mul),
    "Div": _binary(torch.div),
    "Minimum": _binary(torch.minimum),
    "Maximum": _binary(torch.maximum),
    "Pow": _pow,
    "Sum": lambda call: _reduced(torch.sum, call),
    "Mean": lambda call: _reduced(torch.mean, call),
    "Mm": lambda call: call.saved("self", 0) @ call.saved("mat2", 1),
    "Bmm": lambda call: call.saved("self", 0) @ call.saved("mat2", 1),
    "Mv": lambda call: call.saved("self", 0) @ call.saved("vec", 1),
    "Dot": lambda call: torch.dot(call.saved("self", 0), call.saved("tensor", 1)),
    "Addmm": lambda call: torch.addmm(
        call.input(0), call.saved("mat1", 1), call.saved("mat2", 2),
        beta=call.number("beta"), alpha=call.number("alpha"),
    ),
    "T": lambda call: call.input().t(),
    "Transpose": lambda call: call.input().transpose(call.number("dim0"), call.number("dim1")),
    "Permute": lambda call: call.input().permute(call.number("dims")),
    "Expand": lambda call: call.input().expand(call.shape),
    "Select": lambda call: call.input().select(call.number("dim"), call.number("index")),
    "Slice": lambda call: call.input()[
        (slice(None),) * (call.number("dim") % call.input().dim())
        + (slice(call.number("start"), call.number("end"), call.number("step")),)
    ],
    "Index": _indexed,
    "Embedding": lambda call: F.embedding(call.saved("indices"), call.input()),
    "Cat": lambda call: torch.cat(call.inputs(), call.number("dim")),
    "Stack": lambda call: torch.stack(call.inputs(), call.number("dim")),
    "Where": lambda call: torch.where(call.saved("condition"), call.input(0), call.input(1)),
    "Clamp": _clamped,
    "LeakyRelu": lambda call: F.leaky_relu(call.saved("self"), call.number("negative_slope")),
    "Gelu": lambda call: F.gelu(call.saved("self"), approximate=call.number("approximate")),
    "Softplus": lambda call: F.softplus(
        call.saved("self"), call.number("beta"), call.number("threshold")
    ),
    "NativeLayerNorm": _layer_norm,
    "Cumsum": lambda call: torch.cumsum(call.input(), call.number("dim")),
    "ToCopy": lambda call: call.input().to(_metadata(call._node).dtype),
    "MseLoss": _loss(F.mse_loss),
    "SmoothL1Loss": _loss(F.smooth_l1_loss, beta="beta"),
    "HuberLoss": _loss(F.huber_loss, delta="delta"),
    "BinaryCrossEntropy": _loss(F.binary_cross_entropy, "weight"),
    "BinaryCrossEntropyWithLogits": _loss(
        F.binary_cross_entropy_with_logits, "weight", "pos_weight"
    ),
    "NllLoss": _loss(F.nll_loss, "weight", ignore_index="ignore_index"),
    "NllLoss2D": _loss(F.nll_loss, "weight", ignore_index="ignore_index"),
    "Xlogy": _binary(torch.xlogy),
    "ClampMin": lambda call: call.saved("self").clamp_min(call.number("min")),
    "ClampMax": lambda call: call.saved("self").clamp_max(call.number("max")),
    "Max": _extreme,
    "Min": _extreme,
    "Var": _spread,
    "Gather": lambda call: call.input().gather(call.number("dim"), call.saved("index")),
    "IndexSelect": lambda call: call.input().index_select(call.number("dim"), call.saved("index")),
    "Flip": lambda call: call.input().flip(call.number("dims")),
    "Repeat": lambda call: call.input().repeat(call.number("repeats")),
    # Its parts are taken where they are used.
    "Split": lambda call: call.input(),
    "Unbind": lambda call: call.input(),
}  # fmt: skip
for _name, _operation in {
    "Log": torch.log, "Log2": torch.log2, "Log10": torch.log10, "Log1p": torch.log1p,
    "Acos": torch.acos, "Asin": torch.asin, "Atanh": torch.atanh, "Acosh": torch.acosh,
    "Lgamma": torch.lgamma, "Digamma": torch.digamma, "Erfinv": torch.erfinv, "Abs": torch.abs,
    "Cos": torch.cos, "Sin": torch.sin, "Silu": F.silu, "LogSigmoid": F.logsigmoid,
}.items():  # fmt: skip
    _FORMULAS[_name] = _unary(_operation)
for _name in ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Clone", "Alias"):
    _FORMULAS[_name] = _reshaped
_PARTS: dict[str, Callable[[Any, _Call], Any]] = {
    "Split": lambda value, call: value.split(call.number("split_size"), call.number("dim")),
    "Unbind": lambda value, call: value.unbind(call.number("dim")),
}


def kind_of_node(node: Any) -> str:
    """``Log`` for `LogBackward0`."""
    return operation(node).split("Backward")[0]


def recompute(nodes: list[Any], values: dict[Any, Any]) -> None:
    """Add to `values` the outputs of those of `nodes` that can be computed. To be called inside of
    Unnoticed."""
    budget = _MOST
    with torch.no_grad(), _without_autocast():
        for node in sorted(nodes, key=sequence):
            kind = "" if is_function(node) else kind_of_node(node)
            if node in values or kind not in _FORMULAS or unpacks_by_hook(node):
                continue
            saved = {
                each.name: each.data
                for each in slots(node)
                if not each.stale and is_tensor(each.data)
            }
            try:
                call = _Call(node, saved, values)
                value = _FORMULAS[kind](call)
                seen = kind in _PARTS or (
                    value.shape == call.shape and value.dtype == _metadata(node).dtype
                )
            except (_Unknown, RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                # Whatever a version of torch saves in another way is unknown.
                continue
            if seen:
                values[node] = value
                budget -= count_of(value)
            if budget < 0:
                return


def _without_autocast() -> Any:
    device = "cuda" if torch.is_autocast_enabled("cuda") else "cpu"
    return torch.autocast(device, enabled=False)

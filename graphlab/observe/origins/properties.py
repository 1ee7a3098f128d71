"""What gives a tensor a property that torch may complain of, and what hands it on, by operation.

The properties: to be a result (no leaf), to have elements that share memory, to be of inference
mode, to be unknown to a vmap; and "made", to have its shape and no graph.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from graphlab.source.evaluate import constant

# Whether an operation gives its result the property, cannot, or hands on what its receiver (or
# first argument) has; "either": it hands it on, and gives it where the receiver has it not.
Verdict = Literal["gives", "never", "hands-on", "either"]

# Results that share the elements of what they are of.
VIEWS = {
    "view", "view_as", "reshape", "reshape_as", "transpose", "t", "adjoint", "permute", "squeeze",
    "unsqueeze", "flatten", "unflatten", "ravel", "narrow", "select", "split", "tensor_split",
    "split_with_sizes", "chunk", "unbind", "swapaxes", "swapdims", "movedim", "moveaxis",
    "diagonal", "hsplit", "vsplit", "dsplit", "detach", "real", "imag", "T", "mT", "H", "mH",
    "data", "unfold", "rearrange",
}  # fmt: skip
EXPANDERS = {
    "expand", "expand_as", "broadcast_to", "broadcast_tensors", "meshgrid", "as_strided",
    "broadcast_arrays",
}  # fmt: skip
# Results that are the receiver itself.
_SAME = {
    "requires_grad_", "retain_grad", "share_memory_", "pin_memory", "train", "eval", "apply_",
}  # fmt: skip
# Results that are the receiver itself unless there is something to convert.
_CONVERSIONS = {
    "to", "cuda", "cpu", "float", "double", "half", "bfloat16", "type", "type_as", "contiguous",
    "expand", "expand_as", "broadcast_to",
}  # fmt: skip
# Results of the receiver's shape.
_ALIKE = {
    "clone", "detach", "detach_", "abs", "neg", "negative", "Parameter", "Buffer", "data",
    "bfloat16", "cuda", "cpu", "float", "double", "half", "type", "type_as", "contiguous",
}  # fmt: skip
# Functions that make a tensor without a graph.
_LEAVES = {
    "Parameter", "Buffer", "zeros", "ones", "rand", "randn", "randint", "randperm", "full", "empty",
    "arange", "linspace", "logspace", "eye", "tensor", "as_tensor", "from_numpy", "zeros_like",
    "ones_like", "rand_like", "randn_like", "randint_like", "full_like", "empty_like", "new_zeros",
    "new_ones", "new_full", "new_empty", "new_tensor", "detach", "detach_", "item", "tolist",
    "numpy", "argmax", "argmin", "argsort", "load", "state_dict", "manual_seed", "Generator",
    "one_hot", "nonzero", "long", "int", "bool", "multinomial", "isnan", "isfinite", "bincount",
    "allclose", "equal",
}  # fmt: skip
# Methods and built-in functions that give numbers.
_NUMBERS = {"item", "tolist", "size", "dim", "numel", "numpy"}
_PLAIN = {"len", "range", "int", "float", "str", "bool", "sum", "print", "isinstance", "type"}


@dataclass(frozen=True, slots=True)
class Property:
    """`name` is that of `trace.model.Refusal`."""

    name: Literal["non-leaf", "overlap", "inference", "unmapped", "view", "made"]

    def call(self, name: str, method: bool, node: ast.Call) -> Verdict:
        """Of a call of a library's function or method `name`."""
        if name in _SAME:
            return "hands-on"
        if name in _NUMBERS or (name in _PLAIN and isinstance(node.func, ast.Name)):
            return "never" if name != "sum" else "gives"
        if self.name == "made":
            # `to` may be ``to(other)``, and hands on the shape all the same.
            return "hands-on" if name in _ALIKE or name == "to" else "gives"
        if self.name == "non-leaf":
            if any(each.arg == "requires_grad" for each in node.keywords) or name in _LEAVES:
                return "never"
            return "either" if name in _CONVERSIONS else "gives"
        if self.name == "view":
            made = name in VIEWS | EXPANDERS or name == "apply"
            return "gives" if made else "hands-on" if name.endswith("_") else "never"
        if self.name == "overlap":
            return self._overlapping(name, node)
        if name == "load":
            return "never"
        if name in VIEWS or (name.endswith("_") and not name.endswith("__") and method):
            return "hands-on"
        if name in ("Parameter", "Buffer", "as_tensor"):
            return "hands-on"
        return "either" if name in _CONVERSIONS else "gives"

    def _overlapping(self, name: str, node: ast.Call) -> Verdict:
        if name in EXPANDERS:
            return "gives"
        if name == "repeat" and any(
            isinstance(each, ast.Constant) and "->" in str(each.value) for each in node.args
        ):
            # einops expands where torch's own repeat() copies.
            return "gives"
        if name == "grad" and isinstance(node.func, ast.Attribute):
            # The gradient of a sum is one number, expanded.
            return "gives" if ast.unparse(node.func.value).endswith("autograd") else "never"
        kept = name in VIEWS or name in ("Parameter", "Buffer", "as_tensor")
        same = name in ("to", "cuda", "cpu", "float", "type_as")
        inplace = name.endswith("_") and not name.endswith("__")
        return "hands-on" if kept or same or inplace else "never"

    def operator(self, alike: bool = False) -> Verdict:
        """Of an arithmetic operator; `alike`: its result has the shape of its one operand."""
        if self.name == "made" and alike:
            return "hands-on"
        return "never" if self.name in ("overlap", "view") else "gives"

    def written(self) -> Verdict:
        """Of an in-place write, for what it writes."""
        return "either" if self.name == "non-leaf" else "hands-on"

    def part(self) -> Verdict:
        """Of an item or slice of a tensor."""
        return "gives" if self.name in ("non-leaf", "view", "made") else "hands-on"

    def attribute(self, name: str) -> Verdict | None:
        """Of an attribute of a tensor; None if it may be one that the program has set."""
        if name in ("shape", "dtype", "device", "ndim", "is_leaf", "requires_grad"):
            return "never"
        if name in ("data", "grad") and self.name == "non-leaf":
            return "never"
        if name == "data" and self.name == "made":
            return "hands-on"
        if name in ("T", "mT", "H", "mH", "real", "imag", "data"):
            return "gives" if self.name in ("non-leaf", "view", "made") else "hands-on"
        return None


def operand_of(node: ast.AST) -> ast.expr | None:
    """The only operand that is not a number."""
    if isinstance(node, ast.UnaryOp):
        return node.operand
    if isinstance(node, ast.BinOp):
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if type(constant(other)) in (int, float):
                return one
    return None

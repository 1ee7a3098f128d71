"""torch's words, each list once: what writes in place, what only seems to, what cuts a graph."""

from __future__ import annotations

# In-place operators: the method's name between `__i` and `__`, and how it is written.
OPERATORS = {
    "add": "+=", "sub": "-=", "mul": "*=", "truediv": "/=", "floordiv": "//=", "mod": "%=",
    "pow": "**=", "matmul": "@=", "and": "&=", "or": "|=", "xor": "^=", "lshift": "<<=",
    "rshift": ">>=",
}  # fmt: skip
# Methods of a tensor that end in an underscore and write no element.
NOT_WRITERS = {"requires_grad_", "retain_grad_", "rename_", "share_memory_", "detach_"}
# Functions that end in an underscore and write no tensor that a backward needs.
CLIPPING = {"clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_"}
# NumPy's writers: methods of an array, and functions of their first argument.
ARRAY_METHODS = {"fill", "sort", "put", "partition", "itemset"}
ARRAY_FUNCTIONS = {"copyto", "shuffle", "put_along_axis"}
# Names that stand for a module of torch's, whose function is given the tensor.
LIBRARIES = {"torch", "nn", "F", "functional", "init"}
# Attributes that give a view of the same elements.
VIEWS = {"T", "mT", "H", "mH", "real", "imag"}
# Those and the ones by which a tensor is still called the same.
ALIASES = {"data", "T", "mT"}
# Methods and functions that give a value without a graph.
CUTS = {
    "detach", "detach_", "item", "tolist", "numpy", "argmax", "argmin", "argsort", "long", "int",
    "bool", "byte", "short", "sign", "eq", "ne", "gt", "lt", "ge", "le", "multinomial",
    "from_numpy", "tensor", "as_tensor", "requires_grad_", "sample", "searchsorted", "bincount",
    "one_hot", "nonzero", "isnan", "isfinite",
}  # fmt: skip
# What is asked of a tensor that is no value of it.
FACTS = {"shape", "dtype", "device", "ndim", "is_cuda", "grad"}
# Contexts and decorators under which no graph is made.
GUARDS = {"no_grad", "inference_mode", "set_grad_enabled"}

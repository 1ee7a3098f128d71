"""Names from torch and NumPy by what they do: write in place, give a view, or leave the graph."""

from __future__ import annotations

# In-place operators: method ``__iadd__`` by its middle part, and the operator's sign.
OPERATORS = {
    "add": "+=", "sub": "-=", "mul": "*=", "truediv": "/=", "floordiv": "//=", "mod": "%=",
    "pow": "**=", "matmul": "@=", "and": "&=", "or": "|=", "xor": "^=", "lshift": "<<=",
    "rshift": ">>=",
}  # fmt: skip
# Tensor methods that end in an underscore but write no element.
NOT_WRITERS = {"requires_grad_", "retain_grad_", "rename_", "share_memory_", "detach_"}
# Functions that end in an underscore but write only gradients, which no backward needs.
CLIPPING = {"clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_"}
# NumPy's in-place methods, and functions that write their first argument.
ARRAY_METHODS = {"fill", "sort", "put", "partition", "itemset"}
ARRAY_FUNCTIONS = {"copyto", "shuffle", "put_along_axis"}
# Names of torch's modules: in ``F.relu_(x)`` the tensor is the argument, not the receiver.
LIBRARIES = {"torch", "nn", "F", "functional", "init"}
# Attributes that give a view of the same elements.
VIEWS = {"T", "mT", "H", "mH", "real", "imag"}
# Attributes after which messages still use the tensor's own name.
ALIASES = {"data", "T", "mT"}
# Methods and functions whose result has no graph.
CUTS = {
    "detach", "detach_", "item", "tolist", "numpy", "argmax", "argmin", "argsort", "long", "int",
    "bool", "byte", "short", "sign", "eq", "ne", "gt", "lt", "ge", "le", "multinomial",
    "from_numpy", "tensor", "as_tensor", "requires_grad_", "sample", "searchsorted", "bincount",
    "one_hot", "nonzero", "isnan", "isfinite", "new_tensor",
}  # fmt: skip
# Operations whose derivative is zero wherever it exists, as nodes of the graph are called.
FLAT = {
    "Round", "Floor", "Ceil", "Trunc", "Sign", "Sgn", "FloorDivide", "Heaviside", "Fix",
    "Bernoulli",
}  # fmt: skip
# Attributes that do not depend on a tensor's values.
FACTS = {"shape", "dtype", "device", "ndim", "is_cuda", "grad"}
# Calls that do not either.
SIZES = {"size", "dim", "ndimension", "numel", "nelement", "stride", "len", "isinstance"}
# Context managers and decorators under which no graph is recorded.
GUARDS = {"no_grad", "inference_mode", "set_grad_enabled"}
# Context managers that leave gradients as they are.
HARMLESS_BLOCKS = {
    "open", "autocast", "set_detect_anomaly", "detect_anomaly", "suppress", "tqdm", "Progress",
    "profile", "record_function", "nullcontext", "redirect_stdout", "redirect_stderr",
    "stream", "device", "Lock",
    "catch_warnings", "fork_rng", "raises", "warns", "ExitStack", "TemporaryDirectory", "Timer",
    "sdpa_kernel", "saved_tensors_hooks", "save_on_cpu", "watch",
}  # fmt: skip

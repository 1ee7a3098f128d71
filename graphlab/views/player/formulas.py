"""What a saved tensor is for: the line of an operation's backward that reads it.

By the name of the node and of what it saved, as autograd's own generated code names them. Where an
operation is not listed, nothing is said. A formula has no word of any language, and so stands on
every page.
"""

from __future__ import annotations

from graphlab.trace.graph import NONE, Graph

# (formula, what the saved tensor is called in it), by operation and by the name of what was saved.
Formula = tuple[str, str]


def _unary(derivative: str, symbol: str) -> dict[str, Formula]:
    return {symbol: (f"grad_input = grad_output * {derivative}", _SYMBOLS[symbol])}


# What a formula calls that which the node saved as ``self`` and as ``result``.
_SYMBOLS = {"self": "input", "result": "output"}

_NORM = {
    "input": ("grad_weight = Σ grad_output * (input - mean) / std", "input"),
    "weight": ("grad_input = ∂norm/∂input · (grad_output * weight)", "weight"),
}
_INDEXED = {"indices": ("grad_input[indices] = grad_output", "indices")}
_LARGEST = {
    "self": ("grad_input = grad_output * (input == output) / count", "input"),
    "result": ("grad_input = grad_output * (input == output) / count", "output"),
}
_CHOICE = {
    "self": ("grad_input = grad_output * (input == output) / count", "input"),
    "other": ("grad_other = grad_output * (other == output) / count", "other"),
}
_PRODUCT = {
    "self": ("grad_B = Aᵀ · grad_output", "A"),
    "mat2": ("grad_A = grad_output · Bᵀ", "B"),
}
_LINEAR = {
    "mat1": ("grad_W = grad_outputᵀ · input", "input"),
    "self": ("grad_W = grad_outputᵀ · input", "input"),
    "mat2": ("grad_input = grad_output · W", "W"),
}

_TABLE: dict[str, dict[str, Formula]] = {
    "Linear": {
        "input": ("grad_W = grad_outputᵀ · input", "input"),
        "weight": ("grad_input = grad_output · W", "W"),
    },
    "Addmm": {"mat1": _PRODUCT["self"], "mat2": _PRODUCT["mat2"]},
    "Mm": _PRODUCT,
    "Bmm": _PRODUCT,
    "Baddbmm": {"batch1": _PRODUCT["self"], "batch2": _PRODUCT["mat2"]},
    "Mv": {
        "self": ("grad_v = Aᵀ · grad_output", "A"),
        "vec": ("grad_A = grad_output · vᵀ", "v"),
    },
    "Dot": {
        "self": ("grad_b = grad_output * a", "a"),
        "tensor": ("grad_a = grad_output * b", "b"),
    },
    "Mul": {
        "self": ("grad_b = grad_output * a", "a"),
        "other": ("grad_a = grad_output * b", "b"),
    },
    "Div": {
        "self": ("grad_b = -grad_output * a / b²", "a"),
        "other": ("grad_a = grad_output / b", "b"),
    },
    "Exp": _unary("output", "result"),
    "Log": {"self": ("grad_input = grad_output / input", "input")},
    "Log1P": {"self": ("grad_input = grad_output / (1 + input)", "input")},
    "Sqrt": {"result": ("grad_input = grad_output / (2 * output)", "output")},
    "Rsqrt": _unary("(-output³ / 2)", "result"),
    "Reciprocal": _unary("(-output²)", "result"),
    "Sin": _unary("cos(input)", "self"),
    "Cos": _unary("(-sin(input))", "self"),
    "Abs": _unary("sign(input)", "self"),
    "Sigmoid": _unary("output * (1 - output)", "result"),
    "Tanh": _unary("(1 - output²)", "result"),
    "Relu": {"result": ("grad_input = grad_output * (output > 0)", "output")},
    "LeakyRelu": {"self": ("grad_input = grad_output * (1 if input > 0 else slope)", "input")},
    "Softplus": _unary("sigmoid(input)", "self"),
    "Gelu": _unary("gelu'(input)", "self"),
    "Silu": _unary("silu'(input)", "self"),
    "LogSigmoid": {"self": ("grad_input = grad_output * sigmoid(-input)", "input")},
    "Softmax": {
        "result": ("grad_input = output * (grad_output - Σ grad_output * output)", "output")
    },
    "LogSoftmax": {"result": ("grad_input = grad_output - exp(output) * Σ grad_output", "output")},
    "Logsumexp": {
        "self": ("grad_input = grad_output * exp(input - output)", "input"),
        "result": ("grad_input = grad_output * exp(input - output)", "output"),
    },
    "Convolution": {
        "input": ("grad_weight = conv(input, grad_output)", "input"),
        "weight": ("grad_input = conv_transpose(grad_output, weight)", "weight"),
    },
    "NativeBatchNorm": _NORM,
    "CudnnBatchNorm": _NORM,
    "NativeLayerNorm": _NORM,
    "NativeGroupNorm": _NORM,
    "Embedding": {"indices": ("grad_weight[indices] += grad_output", "indices")},
    "Max": _INDEXED,
    "Min": _INDEXED,
    "Amax": _LARGEST,
    "Amin": _LARGEST,
    "Maximum": _CHOICE,
    "Minimum": _CHOICE,
    "MaxPool2DWithIndices": {"result1": ("grad_input[indices] = grad_output", "indices")},
    "Gather": {"index": ("grad_input[index] += grad_output", "index")},
    "IndexSelect": {"index": ("grad_input[index] += grad_output", "index")},
    "Where": {"condition": ("grad_a = grad_output * condition", "condition")},
    "MseLoss": {
        "self": ("grad_input = grad_output * 2 * (input - target) / n", "input"),
        "target": ("grad_input = grad_output * 2 * (input - target) / n", "target"),
    },
    "BinaryCrossEntropyWithLogits": {
        "self": ("grad_input = grad_output * (sigmoid(input) - target)", "input"),
        "target": ("grad_input = grad_output * (sigmoid(input) - target)", "target"),
    },
}

# Operations that have several backward formulas, by the number at the end of the node's name.
_NUMBERED: dict[str, dict[str, Formula]] = {
    "PowBackward0": _unary("k * input^(k-1)", "self"),
    "PowBackward1": {
        "self": ("grad_input = grad_output * k * input^(k-1)", "input"),
        "exponent": ("grad_input = grad_output * k * input^(k-1)", "k"),
        "result": ("grad_k = grad_output * output * log(input)", "output"),
    },
    "PowBackward2": {
        "result": ("grad_k = grad_output * output * log(base)", "output"),
    },
    "MaxBackward1": _LARGEST,
    "MinBackward1": _LARGEST,
}


def formula(graph: Graph, node: int, slot: str) -> Formula | None:
    """The formula of `node`'s backward that needs what it saved as `slot`, and what that is called
    in it; None where it is not known."""
    operation = graph.operations[node]
    if operation in _NUMBERED:
        return _NUMBERED[operation].get(slot)
    name, _, number = operation.partition("Backward")
    if name in ("Addmm", "Mm") and _transposed(graph, node):
        return _LINEAR.get(slot)
    return _TABLE.get(name, {}).get(slot) if number == "0" else None


# What the left side of a formula calls the first operand of an operation, and where its operands
# begin: others, such as the bias that it adds, stand before them.
_FIRST = ("grad_input", "grad_a", "grad_A")
_BEGIN = {"Addmm": 1, "Baddbmm": 1}
# Formulas of these hold for each of their operands.
_EACH = ("Maximum", "Minimum", "MseLoss", "BinaryCrossEntropyWithLogits")


def computed(graph: Graph, node: int, text: str) -> tuple[int, ...]:
    """The inputs of `node` whose gradient a formula of its backward computes."""
    inputs = graph.inputs[node]
    name = graph.operations[node].partition("Backward")[0]
    left = text.partition(" ")[0].partition("[")[0]
    at = _BEGIN.get(name, 0) + (left not in _FIRST)
    if name in _EACH or at >= len(inputs):
        return tuple(inputs)
    return (inputs[at],)


def _transposed(graph: Graph, node: int) -> bool:
    """Whether the right factor is a transposed leaf, as a linear layer makes it of its weight."""
    right = graph.inputs[node][-1] if graph.inputs[node] else NONE
    if right == NONE or graph.operations[right] != "TBackward0":
        return False
    (source,) = graph.inputs[right] or (NONE,)
    return source in graph.leaves

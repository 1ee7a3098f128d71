"""The formulas of the player name what torch's nodes really save."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from graphlab.observe.graph.walk import operation, slots, walk
from graphlab.trace.graph import Graph
from graphlab.views.player import formulas
from graphlab.views.player.formulas import computed, formula


def leaf(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, requires_grad=True)


INDEX = torch.tensor([1])
MADE: dict[str, Any] = {
    "linear": lambda: F.linear(leaf(2, 3), leaf(4, 3), leaf(4)),
    "linear without bias": lambda: F.linear(leaf(2, 3), leaf(4, 3)),
    "matmul": lambda: leaf(2, 3) @ leaf(3, 4),
    "bmm": lambda: leaf(2, 2, 3) @ leaf(2, 3, 4),
    "mv": lambda: leaf(2, 3) @ leaf(3),
    "dot": lambda: leaf(3) @ leaf(3),
    "mul": lambda: leaf(2) * leaf(2),
    "div": lambda: leaf(2) / leaf(2),
    "pow": lambda: leaf(2) ** 3,
    "pow by a tensor": lambda: leaf(2) ** leaf(2),
    "exp": lambda: leaf(2).exp(),
    "log": lambda: leaf(2).log(),
    "sqrt": lambda: leaf(2).sqrt(),
    "sigmoid": lambda: leaf(2).sigmoid(),
    "tanh": lambda: leaf(2).tanh(),
    "relu": lambda: leaf(2).relu(),
    "leaky_relu": lambda: F.leaky_relu(leaf(2)),
    "softmax": lambda: leaf(2, 3).softmax(1),
    "log_softmax": lambda: leaf(2, 3).log_softmax(1),
    "conv2d": lambda: F.conv2d(leaf(1, 1, 4, 4), leaf(1, 1, 3, 3)),
    "layer_norm": lambda: F.layer_norm(leaf(2, 3), (3,), leaf(3), leaf(3)),
    "embedding": lambda: F.embedding(INDEX, leaf(3, 2)),
    "max": lambda: leaf(2, 3).max(1)[0],
    "mse_loss": lambda: F.mse_loss(leaf(2), leaf(2)),
}


def made(result: torch.Tensor) -> tuple[Any, Graph]:
    """The nodes behind a result, and their graph."""
    nodes = walk([result.grad_fn])
    place = {id(node): at for at, node in enumerate(nodes)}
    graph = Graph(
        tuple(operation(node) for node in nodes),
        tuple(
            tuple(
                place[id(source)] if source is not None else -1 for source, _ in node.next_functions
            )
            for node in nodes
        ),
        leaves={at: Any for at, node in enumerate(nodes) if hasattr(node, "variable")},  # pyright: ignore
    )
    return nodes, graph


@pytest.mark.parametrize("name", MADE)
def test_what_is_saved_has_a_formula(name: str) -> None:
    nodes, graph = made(MADE[name]())
    known = [
        (each.name, formula(graph, at, each.name))
        for at, node in enumerate(nodes)
        for each in slots(node)
    ]
    told = [found for _, found in known if found is not None]
    assert told, known
    for text, symbol in told:
        assert symbol in text
    if name.startswith("linear"):
        assert ("grad_input = grad_output · W", "W") in told


def test_the_formula_of_a_product_is_its_gradient() -> None:
    """grad_a = grad_output * b, grad_input = grad_output · W, grad_W = grad_outputᵀ · input."""
    a, b, grad = leaf(2), leaf(2), torch.rand(2)
    (a * b).backward(grad)
    assert torch.equal(a.grad, grad * b) and torch.equal(b.grad, grad * a)
    x, W, grad = leaf(2, 3), leaf(4, 3), torch.rand(2, 4)
    F.linear(x, W).backward(grad)
    assert torch.allclose(x.grad, grad @ W) and torch.allclose(W.grad, grad.T @ x)


def test_it_is_silent_where_it_knows_nothing() -> None:
    graph = Graph(("ErfinvBackward0", "MulBackward9"), ((), ()))
    assert formula(graph, 0, "self") is None and formula(graph, 1, "self") is None


# The leaf to which what a formula computes goes on, by its shape.
GOES_ON: dict[str, tuple[Any, dict[str, tuple[int, ...]]]] = {
    "linear": (MADE["linear"], {"grad_input": (2, 3), "grad_W": (4, 3)}),
    "linear without bias": (MADE["linear without bias"], {"grad_input": (2, 3), "grad_W": (4, 3)}),
    "matmul": (MADE["matmul"], {"grad_A": (2, 3), "grad_B": (3, 4)}),
    "mv": (MADE["mv"], {"grad_A": (2, 3), "grad_v": (3,)}),
    "mul": (lambda: leaf(2, 1) * leaf(1, 2), {"grad_a": (2, 1), "grad_b": (1, 2)}),
    "div": (lambda: leaf(2, 1) / leaf(1, 2), {"grad_a": (2, 1), "grad_b": (1, 2)}),
    "conv2d": (MADE["conv2d"], {"grad_input": (1, 1, 4, 4), "grad_weight": (1, 1, 3, 3)}),
    "embedding": (MADE["embedding"], {"grad_weight": (3, 2)}),
    "layer_norm": (
        lambda: F.layer_norm(leaf(2, 3), (3,), leaf(3), leaf(3)),
        {"grad_input": (2, 3), "grad_weight": (3,)},
    ),
}


@pytest.mark.parametrize("name", GOES_ON)
def test_what_a_formula_computes_goes_to_one_operand(name: str) -> None:
    make, expected = GOES_ON[name]
    nodes, graph = made(make())
    found: dict[str, set[Any]] = {}
    for at, node in enumerate(nodes):
        for each in slots(node):
            text, _ = formula(graph, at, each.name) or ("", "")
            if text:
                behind = {far for way in computed(graph, at, text) for far in graph.reached_by(way)}
                shapes = {tuple(nodes[far].variable.shape) for far in behind & graph.leaves.keys()}
                found.setdefault(text.partition(" ")[0].partition("[")[0], set()).update(shapes)
    assert found == {left: {shape} for left, shape in expected.items()}


def test_a_formula_has_no_word_of_a_language() -> None:
    """It stands on English and on Korean pages."""
    names = "W A B a b v k n T sum input output weight other base target condition index indices"
    functions = (
        "slope count mean std norm exp log cos sin sign sigmoid gelu silu conv conv_transpose"
    )
    known = {*names.split(), *functions.split(), "if", "else"}
    tables = [*formulas._TABLE.values(), *formulas._NUMBERED.values()]
    for text, symbol in (each for table in tables for each in table.values()):
        words = set(re.findall(r"[A-Za-z_]+", text))
        assert {each for each in words if not each.startswith("grad_")} <= known, text
        assert symbol in text

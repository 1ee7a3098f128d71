"""How the user wrote it: for a line and a place in it, the words that a reader knows."""

from __future__ import annotations

import ast

import pytest

from graphlab.source.wording import (
    argument_at,
    call_at,
    call_text,
    grad_input_at,
    loop_variables,
    loss_in,
    operand_at,
    short,
    target_text,
    variable_behind,
    written_by,
)
from tests.source.written import at, expression, written


@pytest.mark.parametrize(
    ("line", "call", "loss"),
    [
        ("G_loss_.backward()", "G_loss_.backward()", "G_loss_"),
        ("(a + b).backward()", "(a + b).backward()", "a + b"),
        ("losses['d'].backward(retain_graph=True)", "losses['d'].backward()", "losses['d']"),
        ("scaler.scale(loss).backward()", "scaler.scale(loss).backward()", "loss"),
        ("torch.autograd.backward(loss)", "torch.autograd.backward()", "loss"),
        ("autograd.backward(tensors=[a, b])", "autograd.backward()", "[a, b]"),
        ("torch.autograd.grad(loss, w)", "torch.autograd.grad()", "loss"),
        ("grad(outputs=loss, inputs=w)", "grad()", "loss"),
        ("größe.backward()", "größe.backward()", "größe"),
    ],
)
def test_a_backward_and_its_loss(line: str, call: str, loss: str) -> None:
    file = written(line + "\n")
    assert call_text(at(file, line), "loss of line 1") == (call, loss)


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        ("accelerator.backward(loss)", "loss"),
        ("self.manual_backward(d_loss, retain_graph=True)", "d_loss"),
        ("engine.backward(loss=a / 4)", "a / 4"),
        ("fabric.backward(scaler.scale(loss))", "loss"),
        ("found.backward()", "found"),
        ("trainer.fit(model, loader)", None),
        ("run(*losses)", None),
    ],
)
def test_a_library_is_given_the_loss(line: str, loss: str | None) -> None:
    file = written(line + "\n")
    call = call_at(at(file, line))
    assert call is not None
    found = loss_in(call, direct=False)
    assert (ast.unparse(found) if found is not None else None) == loss
    assert call_text(at(file, line), "backward", direct=False)[1] == (loss or "the loss")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("d_loss", "d_loss"),
        ("bce(D(x), ones)", "bce(D(x), ones)"),
        ("bce(D(G(torch.randn(8, 3))), torch.ones(8, 1))", "bce(…)"),
        ("criterion(model(x), y) + 0.1 * model.penalty()", "the loss"),
    ],
)
def test_a_long_expression_is_shortened(expression: str, said: str) -> None:
    assert short(ast.parse(expression, mode="eval").body) == said


def test_without_its_source_a_backward_is_called_what_it_is_said_to_be() -> None:
    file = written("step()\n")
    assert call_text(None, "some loss") == ("some loss()", "some loss")
    assert call_text(at(file, "()"), "some loss") == ("some loss()", "some loss")


def test_of_two_calls_in_a_line_the_one_at_the_place_is_meant() -> None:
    file = written("é.backward(); b.backward()\n")
    assert call_text(at(file, "é.backward()"), "")[1] == "é"
    assert call_text(at(file, "b.backward()"), "")[1] == "b"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("y = torch.mm(features, features.t())", "features"),
        ("return f(x)", "x"),
        ("y = f(g(x), 2)", "x"),
        ("y = torch.mm(a, b)", None),
        ("y = x + 1", None),
        ("f(x)", None),
    ],
)
def test_the_only_variable_of_a_call(line: str, name: str | None) -> None:
    file = written(f"def outer():\n    {line}\n")
    assert argument_at(at(file, line, 2)) == name


@pytest.mark.parametrize(
    ("line", "operation", "slot", "name"),
    [
        ("y = x * w", "MulBackward0", "self", "x"),
        ("y = x * w", "MulBackward0", "other", "w"),
        ("y = x @ self.weight", "MmBackward0", "mat2", "self.weight"),
        ("y = x[0] * w", "MulBackward0", "self", "x"),
        ("y = x ** 2", "PowBackward0", "self", "x"),
        ("y = x * w * z", "MulBackward0", "self", None),
        ("y = x + w", "MulBackward0", "self", None),
        ("y = x * 2", "MulBackward0", "other", None),
        ("y = x * w", "AddBackward0", "self", None),
    ],
)
def test_an_operand(line: str, operation: str, slot: str, name: str | None) -> None:
    file = written(line + "\n")
    assert operand_at(at(file, line), operation, slot) == name


@pytest.mark.parametrize(
    ("line", "index", "name"),
    [
        ("torch.autograd.grad(u, X[:, 0])", 0, "X[:, 0]"),
        ("torch.autograd.grad(u, [a, b])", 1, "b"),
        ("torch.autograd.grad(u, inputs=(a, b))", 0, "a"),
        ("torch.autograd.grad(u, [a, *more])", 1, None),
        ("torch.autograd.grad(u, [a])", 1, None),
        ("torch.autograd.grad(u)", 0, None),
    ],
)
def test_what_a_gradient_is_asked_for(line: str, index: int, name: str | None) -> None:
    file = written(line + "\n")
    assert grad_input_at(at(file, line), index) == name


def test_loop_variables_are_those_of_the_loops_around() -> None:
    file = written("for i, (x, y) in data:\n    for k in x:\n        f(k)\nfor z in x:\n    f(z)\n")
    assert loop_variables(at(file, "f(k)", 3)) == {"i", "x", "y", "k"}
    assert loop_variables(at(file, "f(z)", 5)) == {"z"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("pred[0] = 1", "pred"),
        ("net.state['h'][:, 1] = 0", "net.state['h']"),
        ("h += 1", "h"),
        ("h.data += 1", "h"),
        ("mask.fill_(0)", "mask"),
        ("mask[1:].t().fill_(0)", "mask"),
        ("torch.relu_(x)", "x"),
        ("nn.init.normal_(net.weight, 0, 1)", "net.weight"),
        ("torch.add(a, b, out=c)", "c"),
        ("numpy.copyto(array, 0)", None),
        ("shuffle(order)", "order"),
        ("x = y", None),
    ],
)
def test_what_a_statement_writes(line: str, name: str | None) -> None:
    file = written(line + "\n")
    assert target_text(at(file, line)) == name


@pytest.mark.parametrize(
    ("line", "name"),
    [("x = layer(x)", "x"), ("y = layer(x)", None), ("layer(x)", None), ("h += 1", None)],
)
def test_below_a_call_only_what_is_handed_back_is_known(line: str, name: str | None) -> None:
    file = written(line + "\n")
    assert target_text(at(file, line), direct=False) == name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("x", "x"),
        ("x[0]", "x"),
        ("x[i, :].data.T", "x"),
        ("x.view(-1).exp()", "x"),
        ("net.weight", "net.weight"),
        ("table['key']", "table['key']"),
        ("table['key'][0]", "table['key']"),
        ("x.real", "x.real"),
    ],
)
def test_the_variable_behind_views(source: str, name: str) -> None:
    assert ast.unparse(variable_behind(expression(source))) == name


@pytest.mark.parametrize(
    ("line", "by", "direct", "words"),
    [
        ("h += 1", "+=", True, "h += …"),
        ("mask[0] = 1", "[…] = …", True, "mask[…] = …"),
        ("mask.fill_(0)", "fill_()", True, "mask.fill_()"),
        ("model.load_state_dict(s)", "copy_()", False, "model.load_state_dict(), through copy_()"),
        ("w.data.clamp_(-1, 1)", ".data.clamp_()", True, "w.data.clamp_(-1, 1)"),
        ("a[:] = 0", "NumPy", True, "NumPy, a[:] = 0"),
        ("pass", "add_()", False, "add_()"),
    ],
)
def test_a_write_in_the_readers_words(line: str, by: str, direct: bool, words: str) -> None:
    file = written(line + "\n")
    assert written_by(at(file, line), by, direct) == words


def test_a_write_from_nowhere_is_called_what_it_is_said_to_be() -> None:
    assert written_by(None, "add_()", True) == "add_()"

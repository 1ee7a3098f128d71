"""What a source file says that it does: writes, loads, steps, backwards, and where they stand."""

from __future__ import annotations

import ast
import textwrap

import pytest

from graphlab.source.statements import (
    Scope,
    Statement,
    assigned,
    before_the_loop,
    is_argument,
    keeps_graph,
    lists_tensors,
    may_have_run,
    statements,
)
from graphlab.trace.model import Location
from tests.source.written import expression, written


def found(source: str) -> list[Statement]:
    return statements(written(textwrap.dedent(source)))


@pytest.mark.parametrize(
    "line",
    [
        "os.environ['CUDA_VISIBLE_DEVICES'] = '0'",
        "cache['key'] = x",
        "cache[f'layer{i}'] = x",
        "frame.loc[i, 'loss'] = x",
    ],
)
def test_an_item_with_a_string_for_a_key_is_no_write(line: str) -> None:
    assert found(line) == []


@pytest.mark.parametrize(
    ("line", "kind", "target", "by"),
    [
        ("x += 1", "write", "x", "x += …"),
        ("x[0] **= 2", "write", "x", "x[0] **= …"),
        ("x[0] = 1", "write", "x", "x[…] = …"),
        ("table['x'][0] = 1", "write", "table['x']", "table['x'][…] = …"),
        ("x.T[0].mul_(2)", "write", "x", "x.T[0].mul_()"),
        ("x.view(-1).zero_()", "write", "x", "x.view(-1).zero_()"),
        ("torch.relu_(x)", "write", "x", "torch.relu_()"),
        ("nn.init.normal_(net.weight)", "write", "net.weight", "nn.init.normal_()"),
        ("relu_(x)", "write", "x", "relu_()"),
        ("torch.add(a, b, out=x)", "write", "x", "torch.add()"),
        ("F.relu(x, inplace=True)", "write", "x", "F.relu()"),
        ("net.load_state_dict(state)", "load", "net", "net.load_state_dict()"),
        ("optimizer.step()", "step", "optimizer", "optimizer.step()"),
        ("loss.backward()", "backward", "loss", "loss.backward()"),
        ("scaler.scale(loss).backward()", "backward", "loss", "scaler.scale(loss).backward()"),
        ("torch.autograd.backward(loss)", "backward", "loss", "torch.autograd.backward()"),
        ("torch.autograd.grad(loss, x)", "backward", "loss", "torch.autograd.grad()"),
        ("grad(outputs=loss)", "backward", "loss", "grad()"),
        ("y = f(x.add_(1))", "write", "x", "x.add_()"),
    ],
)
def test_a_statement(line: str, kind: str, target: str, by: str) -> None:
    (only,) = found(line)
    assert (only.kind, ast.unparse(only.target), only.by) == (kind, target, by)
    assert only.at.line == 1 and only.at.function == "<module>"


@pytest.mark.parametrize(
    "line",
    ["x = 1", "x = x + 1", "x.detach_()", "x.requires_grad_()", "clip_grad_norm_(p, 1)",
     "x.data.clamp_(0)", "x.grad.zero_()", "x.__setstate__(s)", "F.relu(x, inplace=False)",
     "net.grad(x)", "f()", "f(x)[0] = 1", "x.grad = None"],
)  # fmt: skip
def test_nothing_is_said_of(line: str) -> None:
    assert found(line) == []


def test_what_a_scaler_steps_is_its_argument() -> None:
    (step,) = found("scaler.step(optimizer)")
    assert step.other is not None and ast.unparse(step.other) == "optimizer"


def test_everything_is_found_wherever_it_stands_in_the_order_of_the_file() -> None:
    source = """
        def train():
            for x in data:
                try:
                    a.add_(1)
                except ValueError:
                    b.add_(1)
                else:
                    c.add_(1)
                with torch.no_grad():
                    match x:
                        case 1:
                            d.add_(1)
            if e.add_(1):
                pass
        class Net:
            def init_weights(self):
                self.w.zero_()
    """
    every = found(source)
    assert [ast.unparse(each.target) for each in every] == ["a", "b", "c", "d", "e", "self.w"]
    assert [len(each.scope.loops) for each in every] == [1, 1, 1, 1, 0, 0]
    assert [each.scope.path for each in every] == [*["train"] * 5, "Net.init_weights"]
    assert [each.initialises() for each in every] == [False] * 5 + [True]
    assert every[-1].scope.owner == "Net"


@pytest.mark.parametrize("source", ["def f(:", "\x00", "x = (1,\n"])
def test_a_file_that_cannot_be_read_says_nothing(source: str) -> None:
    assert found(source) == []


TRAINING = """
w.zero_()
for x in data:
    a.add_(1)
    loss.backward()
    b.add_(1)
c.add_(1)
def step():
    d.add_(1)
"""


def stood(file: str, line: int) -> list[Location]:
    return [Location(file, line, 1, line, 2, "<module>", "", 0)]


def test_what_may_have_run_when_the_program_stood_in_its_loop() -> None:
    file = written(TRAINING)
    here = stood(file, 5)
    ran = {ast.unparse(s.target): may_have_run(s, here) for s in statements(file)}
    assert ran == {"w": True, "a": True, "loss": True, "b": True, "c": False, "d": True}


def test_what_ran_before_the_loop() -> None:
    file = written(TRAINING)
    every = statements(file)
    before = [ast.unparse(s.target) for s in every if before_the_loop(s, every, stood(file, 5))]
    assert before == ["w"]
    # Outside the loop, and in another file, nothing is known.
    assert not any(before_the_loop(s, every, stood(file, 7)) for s in every)
    assert not any(before_the_loop(s, every, stood("other.py", 5)) for s in every)


def test_variables_of_a_function() -> None:
    (function,) = ast.parse("def f(a, /, b, *, c):\n    x = a\n    for y, x in b: pass\n").body
    assert isinstance(function, ast.FunctionDef)
    scope = Scope("f.py", function)
    assert [ast.unparse(each) for each in assigned("x", scope)] == ["a", "b"]
    assert [is_argument(name, scope) for name in "abcx"] == [True, True, True, False]
    assert assigned("x", Scope("f.py")) == [] and not is_argument("x", Scope("f.py"))


@pytest.mark.parametrize(
    ("source", "keeps"),
    [("l.backward()", False), ("l.backward(retain_graph=True)", True),
     ("l.backward(retain_graph=False)", False), ("l.backward(create_graph=True)", True),
     ("l.backward(retain_graph=i == 0)", None)],
)  # fmt: skip
def test_whether_a_backward_keeps_the_graph(source: str, keeps: bool | None) -> None:
    assert keeps_graph(expression(source)) is keeps


@pytest.mark.parametrize(
    ("source", "listing"),
    [("D.parameters()", True), ("net.body.named_buffers()", True), ("D.parameters", False),
     ("parameters()", False), ("D.zero_grad()", False)],
)  # fmt: skip
def test_listings_of_parameters(source: str, listing: bool) -> None:
    assert lists_tensors(expression(source)) is listing

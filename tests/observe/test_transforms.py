"""What is told of a custom Function that a transform of torch.func refused. This leans on names
inside torch: where they move, it fails."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.functions.sightings import FunctionUnfit

OLD = """\
import torch
from torch.func import grad, jacrev, vmap


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, given):
        return 3 * ctx.saved_tensors[0] ** 2 * given


"""
NEW = """\
import torch
from torch.func import grad, jacrev, vmap


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x ** 3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, given):
        return 3 * ctx.saved_tensors[0] ** 2 * given


"""


def seen(tmp_path: Path, text: str, outcome: str = "raised") -> list[FunctionUnfit]:
    path = tmp_path / "script.py"
    path.write_text(text, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == (outcome, ())
    return [each for each in ran.trace.sightings if isinstance(each, FunctionUnfit)]


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (OLD + "grad(lambda x: Cube.apply(x).sum())(torch.ones(3))", "setup_context"),
        (OLD + "jacrev(Cube.apply)(torch.ones(3))", "setup_context"),
        (NEW + "vmap(Cube.apply)(torch.ones(3, 2))", "vmap"),
    ],
)
def test_what_the_class_lacks(tmp_path: Path, text: str, lacks: str) -> None:
    (found,) = seen(tmp_path, text)
    assert (found.name, found.lacks) == ("Cube", lacks)
    assert found.at is not None and found.at.line == 5
    assert found.call_at is not None and found.call_at.line == text.count("\n") + 1


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (OLD + "Cube.apply(torch.ones(3, requires_grad=True)).sum().backward()", "completed"),
        (NEW + "grad(lambda x: Cube.apply(x).sum())(torch.ones(3))", "completed"),
        (NEW.replace("    @static", "    generate_vmap_rule = True\n\n    @static", 1)
         + "vmap(Cube.apply)(torch.ones(3, 2))", "completed"),
        # The program's own error, under the same transform.
        (NEW + "def f(x):\n    raise RuntimeError('no')\n\n\ngrad(f)(torch.ones(3))", "raised"),
    ],
)  # fmt: skip
def test_not_of_one_that_fits(tmp_path: Path, text: str, outcome: str) -> None:
    assert seen(tmp_path, text, outcome) == []


def test_an_object_of_a_function_is_called(tmp_path: Path) -> None:
    text = OLD.replace("    @staticmethod\n", "") + "x = torch.ones(3, requires_grad=True)\n"
    (found,) = seen(tmp_path, text + "y = Cube()(x)\n")
    assert (found.name, found.lacks, found.call) == ("Cube", "apply", "Cube()()")
    assert found.at is not None and found.at.line == 5


def test_a_function_that_is_applied_may_have_such_methods(tmp_path: Path) -> None:
    text = OLD.replace("    @staticmethod\n", "") + "x = torch.ones(3, requires_grad=True)\n"
    assert seen(tmp_path, text + "Cube.apply(x).sum().backward()\n", "completed") == []

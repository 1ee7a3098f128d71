"""Who may have written a stale tensor: one name where one is left, all of them where not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import graphlab
from graphlab.trace.finding import Finding

START = """
import torch
from torch import nn

torch.manual_seed(0)
G, D = nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer_G = torch.optim.{kind}(G.parameters(), lr=0.01)
optimizer_D = torch.optim.{kind}(D.parameters(), lr=0.01)
"""
LOOP = """
for step in range(3):
    score = D(G(torch.randn(8, 2)))
    D_loss, G_loss = score.mean(), (score**2).mean()
    D_loss.backward(retain_graph=True)
    {write}
    G_loss.backward()
"""


@pytest.fixture
def told(tmp_path: Path):
    """``told(source)``: the one finding of a script that fails, and where `# here` stands."""

    def run(source: str) -> tuple[Finding, int | None]:
        path = tmp_path / "script.py"
        path.write_text(source, encoding="utf-8")
        marked = [n for n, line in enumerate(source.splitlines(), 1) if "# here" in line]
        with pytest.raises(RuntimeError) as caught:
            exec(compile(source, str(path), "exec"), {"__name__": "script", "__file__": str(path)})
        (finding,) = graphlab.explain(caught.value).findings
        assert finding.code == "GL001"
        return finding, marked[0] if marked else None

    return run


def script(write: str, kind: str = "Adam", before: str = "", **names: str) -> str:
    write = textwrap.indent(textwrap.dedent(write), "    ").strip()
    return START.format(kind=kind) + textwrap.dedent(before) + LOOP.format(write=write, **names)


def assert_written(told: tuple[Finding, int | None], by: str) -> None:
    finding, line = told
    assert finding.mutated is not None, finding.notes
    assert finding.mutated.what == f"{by} (inferred)"
    assert (finding.mutated.at.line if finding.mutated.at is not None else None) == line
    assert any(note.startswith("inferred: ") for note in finding.notes)


def assert_open(told: tuple[Finding, int | None], *suspects: str) -> None:
    finding, _ = told
    assert finding.mutated is None
    assert "writer that was not seen" in finding.summary
    note = next(note for note in finding.notes if note.startswith("inferred: "))
    for each in suspects:
        assert each in note


@pytest.mark.parametrize("kind", ["Adam", "SGD", "Adagrad", "RMSprop"])
def test_the_optimizer_that_owns_it(told, kind: str) -> None:
    found = told(script("optimizer_D.step()  # here", kind))
    assert_written(found, "optimizer_D.step()")
    assert {each.mutated.what for each in found[0].related} == {"optimizer_D.step() (inferred)"}
    state = "keeps no state" if kind == "SGD" else "its state says that it has stepped"
    assert any(state in note for note in found[0].notes)


def test_the_line_only_where_one_can_be_it(told) -> None:
    source = script("optimizer_D.step()\n{ }".replace("{ }", "optimizer_D.step()"))
    finding, _ = told(source)
    assert finding.mutated is not None
    assert finding.mutated.what == "optimizer_D.step() (inferred)"
    assert finding.mutated.at is None


def test_an_optimizer_that_never_stepped_is_none(told) -> None:
    """Adam's state is empty until it steps: only the clamp is left."""
    write = """
        with torch.no_grad():
            for p in D.parameters():
                p.clamp_(-0.01, 0.01)  # here
    """
    assert_written(told(script(write)), "p.clamp_()")


def test_two_writers_are_not_told_apart(told) -> None:
    write = """
        optimizer_D.step()
        with torch.no_grad():
            for p in D.parameters():
                p.clamp_(-0.01, 0.01)
    """
    assert_open(told(script(write)), "optimizer_D.step() in line", "p.clamp_() in line")


def test_a_clamp_of_another_network_is_none(told) -> None:
    write = """
        optimizer_D.step()  # here
        with torch.no_grad():
            for p in G.parameters():
                p.clamp_(-0.01, 0.01)
    """
    finding, line = told(script(write))
    by_name = {each.tensor.tensor.name: each for each in finding.related}
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.line == line
    assert all(name is None or name.startswith("D") for name in by_name)


def test_what_ran_before_the_loop_is_none(told) -> None:
    before = """
        def weights_init(module):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)

        D.apply(weights_init)
        with torch.no_grad():
            D[0].weight.mul_(0.5)
    """
    found = told(script("optimizer_D.step()  # here", before=before))
    assert_written(found, "optimizer_D.step()")


def test_neither_gradients_nor_data_count(told) -> None:
    write = """
        torch.nn.utils.clip_grad_norm_(D.parameters(), 1.0)
        for p in D.parameters():
            p.grad.mul_(0.5)
            p.data.mul_(1.0)
        optimizer_D.step()  # here
    """
    assert_written(told(script(write)), "optimizer_D.step()")


def test_another_optimizers_and_a_schedulers_steps_are_none(told) -> None:
    before = "scheduler = torch.optim.lr_scheduler.StepLR(optimizer_D, 1)\n"
    write = """
        optimizer_G.step()
        optimizer_D.step()  # here
        scheduler.step()
    """
    assert_written(told(script(write, before=before)), "optimizer_D.step()")


def test_a_step_in_a_function_that_has_returned(told) -> None:
    before = """
        def update(opt):
            opt.step()  # here
    """
    found = told(script("update(optimizer_D)", before=before))
    assert_written(found, "optimizer_D.step()")


def test_two_optimizers_over_one_network(told) -> None:
    before = "second = torch.optim.Adam(D.parameters(), lr=0.1)\n"
    write = "second.step()\noptimizer_D.step()"
    assert_open(told(script(write, before=before)), "second.step()", "optimizer_D.step()")


def test_a_wrapped_optimizer_is_the_outer_one(told) -> None:
    before = """
        class Wrapped(torch.optim.Optimizer):
            def __init__(self, inner):
                self.inner, self.state = inner, inner.state
                self.param_groups, self.defaults = inner.param_groups, inner.defaults

            def step(self, closure=None):
                self.inner.step()

        outer = Wrapped(optimizer_D)
        del optimizer_D
    """
    finding, _ = told(script("outer.step()", before=before))
    assert finding.mutated is not None
    assert finding.mutated.what == "outer.step() (inferred)"


def test_an_optimizer_that_no_frame_names(told) -> None:
    before = """
        def stepper(optimizer):
            def step():
                optimizer.step()  # here
            return step

        step_D = stepper(optimizer_D)
        del optimizer_D
    """
    finding, line = told(script("step_D()", before=before))
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.line == line
    assert finding.mutated.what.startswith("adam")


ACTIVATION = """
import torch

weight = torch.ones(3, requires_grad=True)
{before}
hidden = weight.exp()
{write}
hidden.sum().backward()
"""


@pytest.mark.parametrize(
    ("write", "by"),
    [
        ("hidden += 1", "hidden += …"),
        ("hidden[0] = 2", "hidden[…] = …"),
        ("hidden.add_(1).mul_(2)", "hidden.add_(1).mul_()"),
        ("torch.relu_(hidden)", "torch.relu_()"),
        ("torch.nn.functional.relu(hidden, inplace=True)", "torch.nn.functional.relu()"),
        ("hidden.detach()[1:].zero_()", "hidden.detach()[1:].zero_()"),
        ("torch.add(weight.detach(), 1, out=hidden.detach())", "torch.add()"),
        ("hidden **= 2", "hidden **= …"),
    ],
)
def test_forms_of_in_place_writes(told, write: str, by: str) -> None:
    found = told(ACTIVATION.format(write=f"{write}  # here", before=""))
    assert found[0].tensor is not None and found[0].tensor.tensor.name == "hidden"
    assert_written(found, by)


def test_a_module_that_writes_its_input(told) -> None:
    before = "act = torch.nn.ReLU(inplace=True)"
    found = told(ACTIVATION.format(write="out = act(hidden)", before=before))
    assert_written(found, "act (ReLU, inplace=True)")


def test_numbers_and_lists_are_no_tensors(told) -> None:
    before = "count, seen = 0, [None]\ncount += 1\nseen[0] = weight"
    found = told(ACTIVATION.format(write="hidden += 1  # here", before=before))
    assert_written(found, "hidden += …")


def test_braces_in_the_source(told) -> None:
    write = 'hidden[{"first": 0}["first"]] += 1  # here'
    found = told(ACTIVATION.format(write="{write}", before="").replace("{write}", write))
    assert found[0].mutated is not None and found[0].mutated.at is not None
    assert found[0].mutated.at.line == found[1]


def test_what_stands_below_has_not_run(told) -> None:
    source = ACTIVATION.format(write="hidden += 1  # here", before="") + "hidden -= 1\n"
    assert_written(told(source), "hidden += …")


def test_too_many_to_name(told) -> None:
    before = "def spoil(x):\n" + "".join(f"    x.add_({n}).mul_(2)\n" for n in range(9))
    finding, _ = told(ACTIVATION.format(write="spoil(hidden)", before=before))
    assert finding.mutated is None
    (note,) = [note for note in finding.notes if note.startswith("inferred: ")]
    assert note.count("in line") == 5
    assert note.endswith(" or 4 others")


@pytest.mark.parametrize(
    ("before", "write"),
    [
        ("import os\nos.environ['GRAPHLAB_TEST'] = '0'", ""),
        ("seen = {}", "seen[step] = D_loss.item()"),
        ("rows = [None] * 9", "rows[step] = D_loss"),
    ],
)
def test_an_item_that_is_replaced_is_no_writer(told, before: str, write: str) -> None:
    source = script(f"{write}\noptimizer_D.step()  # here", before=before)
    assert_written(told(source), "optimizer_D.step()")

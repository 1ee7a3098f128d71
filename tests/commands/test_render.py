"""graphlab render: the figure of a run, at the moment that explains it, in every format."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from graphlab import catalogue
from graphlab.commands.render import Choice, _taken
from graphlab.errors import UserError
from graphlab.trace.graph import Graph, loads
from graphlab.views.figure.drawing import Drawing
from graphlab.views.figure.grouping import failed_backward
from graphlab.views.figure.picture import FigureOptions, drawing

Main = Callable[..., tuple[int, str, str]]
FAST = ["--steps", "3", "--device", "cpu"]


@pytest.fixture
def render(main: Main) -> Main:
    return lambda *words: main("render", *words)


def taken(target: str, **options: Any) -> Graph:
    with contextlib.redirect_stderr(io.StringIO()):
        return _taken(target, FAST if os.sep not in target else [], Choice(**options), False).graph


def arrows(drawn: Drawing, line: str = "") -> set[tuple[str, str]]:
    title = {box.key: box.title for box in drawn.boxes}
    return {
        (title[each.source], title[each.target])
        for each in drawn.arrows
        if not line or each.line == line
    }


NAIVE = {
    ("latent_z", "G"), ("G", "gene_img"), ("gene_img", "D"), ("D", "gene_logit"), ("img", "D"),
    ("D", "real_logit"), ("real_logit", "Z_B"), ("gene_logit", "Z_B"), ("Z_B", "D_loss_"),
    ("real_logit", "D_loss_"), ("Z_B", "G_loss_"), ("real_logit", "G_loss_"),
    ("gene_logit", "G_loss_"), ("optimizer_D", "D"), ("optimizer_G", "G"),
}  # fmt: skip


@pytest.fixture(scope="module")
def naive() -> Graph:
    return taken("naive")


def test_the_overview_of_naive_is_the_posts_figure(naive: Graph) -> None:
    drawn = drawing(naive, FigureOptions())
    assert arrows(drawn) == NAIVE
    assert arrows(drawn, "steps") == {("optimizer_D", "D"), ("optimizer_G", "G")}
    title = {box.key: box.title for box in drawn.boxes}
    red = {(title[each.source], title[each.target]) for each in drawn.arrows if each.red}
    assert red == {("optimizer_D", "D"), ("D", "gene_logit"), ("gene_logit", "G_loss_")}
    (D,) = [box for box in drawn.boxes if box.title == "D"]
    said = [*D.lanes[1].alarms, *D.alarms]
    assert said == ["① D.4.weight", "saved at version 1", "and 2 more"]


def test_the_red_path_is_the_findings(naive: Graph, observe: Any) -> None:
    found = failed_backward(naive)
    finding = observe("naive").only
    assert found is not None and finding.tensor is not None and finding.saved is not None
    assert found.saved.tensor == finding.tensor.tensor.name
    assert (found.saved.saved_version, found.saved.version) == (
        finding.tensor.saved, finding.tensor.current,
    )  # fmt: skip
    assert naive.operations[found.node] == finding.saved.what
    assert finding.mutated is not None and found.saved.by == finding.mutated.what
    assert found.saved.at == finding.mutated.at
    assert naive.roots[found.root].call == "G_loss_.backward()"


def test_a_repaired_loop_has_nothing_red_and_shows_its_cut() -> None:
    drawn = drawing(taken("detach"), FigureOptions())
    assert not any(box.red or box.alarms for box in drawn.boxes)
    assert arrows(drawn, "detached") == {("gene_img", "D")}


def test_what_went_stale_after_its_backward_is_not_red() -> None:
    """D's first graph is kept, written over, and never used again."""
    graph = taken("recompute")
    assert any(each.state == "stale" for saved in graph.saved.values() for each in saved)
    assert failed_backward(graph) is None
    drawn = drawing(graph, FigureOptions())
    assert not any(box.red or box.alarms for box in drawn.boxes)
    (D,) = [box for box in drawn.boxes if box.title == "D"]
    assert [lane.text.partition(", ")[2] for lane in D.lanes] == ["weights v1"] * 2 + [
        "weights v2"
    ] * 2


def test_a_write_that_pytorch_lets_pass_is_red_too() -> None:
    found = failed_backward(taken("naive-fused"))
    assert found is not None and found.saved.state == "bypassed"
    assert found.saved.by == "optimizer_D.step()"


def test_a_freed_graph_says_by_whom() -> None:
    graph = taken("joint-as-printed")
    found = failed_backward(graph)
    assert found is not None and found.saved.state == "freed"
    assert found.saved.by == "G_loss_.backward()"
    said = [alarm for box in drawing(graph, FigureOptions()).boxes for alarm in box.alarms]
    assert any("freed by G_loss_.backward()" in alarm for alarm in said)


ACTOR_CRITIC = """
import torch
from torch import nn
torch.manual_seed(0)
actor, critic = nn.Linear(4, 2), nn.Linear(6, 1)
optimizer_actor = torch.optim.Adam(actor.parameters(), 1e-3)
optimizer_critic = torch.optim.Adam(critic.parameters(), 1e-3)
for step in range(3):
    state, reward = torch.randn(8, 4), torch.randn(8, 1)
    action = actor(state)
    value = critic(torch.cat([state, action.detach()], 1))
    critic_loss = (value - reward).square().mean()
    optimizer_critic.zero_grad()
    critic_loss.backward()
    optimizer_critic.step()
    score = critic(torch.cat([state, action], 1))
    actor_loss = -score.mean()
    optimizer_actor.zero_grad()
    actor_loss.backward()
    optimizer_actor.step()
"""


def test_nothing_is_known_of_gans(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(ACTOR_CRITIC)
    graph = taken(str(script))
    drawn = drawing(graph, FigureOptions())
    assert {
        ("state", "actor"), ("actor", "action"), ("critic", "value"), ("critic", "score"),
        ("value", "critic_loss"), ("score", "actor_loss"), ("optimizer_actor", "actor"),
        ("optimizer_critic", "critic"),
    } <= arrows(drawn)  # fmt: skip
    (critic,) = [box for box in drawn.boxes if box.title == "critic"]
    assert len(critic.lanes) == 2 and not any(box.red for box in drawn.boxes)


def test_the_moment_can_be_chosen() -> None:
    assert taken("detach").iteration == 0
    assert taken("detach", at=2).iteration == 2
    before = taken("naive", before="D_loss_.backward()")
    assert [root.name for root in before.roots] == ["D_loss_"]
    assert failed_backward(before) is None
    with pytest.raises(UserError, match="iteration 99"):
        taken("detach", at=99)
    with pytest.raises(UserError, match="no backward call is written") as caught:
        taken("naive", before="G_los_.backward()")
    assert "G_loss_.backward()" in caught.value.help


def test_one_loss_or_variable_can_be_chosen(naive: Graph) -> None:
    alone = taken("naive", loss=("Z_B",))
    assert [root.name for root in alone.roots] == ["Z_B"]
    assert len(alone) < len(naive)
    with pytest.raises(UserError, match="named G_lss_") as caught:
        taken("naive", loss=("G_lss_",))
    assert "G_loss_" in caught.value.help


def test_a_script_that_runs_no_backward(tmp_path: Path) -> None:
    script = tmp_path / "only.py"
    script.write_text("import torch\nx = torch.ones(2, requires_grad=True)\nloss = (x * 2).sum()\n")
    assert [root.name for root in taken(str(script)).roots] == ["loss"]
    script.write_text("import torch\nx = torch.ones(2)\n")
    with pytest.raises(UserError, match="no backward"):
        taken(str(script))


def test_the_command_without_arguments_draws_naive(render: Main, tmp_path: Path) -> None:
    code, out, _ = render()
    assert (code, out) == (0, "naive.svg\n")
    root = ElementTree.fromstring((tmp_path / "naive.svg").read_bytes())
    shown = " ".join("".join(each.itertext()) for each in root.iter())
    assert "saved at version 1" in shown and "GL001" in shown
    code, out, err = render()
    assert code == 2 and "naive.svg already exists" in err and "--force" in err


def test_every_format_and_the_way_back(render: Main, tmp_path: Path) -> None:
    for name in ("a.png", "a.pdf", "a.dot", "a.json", "a.txt"):
        assert render("naive", "-o", name)[:2] == (0, f"{name}\n")
    graph = loads((tmp_path / "a.json").read_text())
    assert graph.target == "naive" and len(graph) == 54
    # A saved graph is drawn without the program, and needs no run.
    code, out, _ = render("a.json", "-o", "b.svg", "--level", "module", "--theme", "dark")
    assert (code, out) == (0, "b.svg\n")
    code, out, _ = render("a.json", "--format", "text")
    assert code == 0 and "G_loss_" in out and "optimizer_D" not in out.split("\n")[0]
    assert render("a.json", "-o", "-", "--format", "dot")[1].startswith("digraph graphlab {")


def test_what_cannot_be_is_refused_before_the_run(render: Main) -> None:
    for words, said in (
        (("--level", "opp"), "did you mean op?"),
        (("--color", "colour"), "--color takes owner"),
        (("--theme", "drak"), "dark"),
        (("--format", "svgg"), "svg"),
        (("-o", "a.jpeg2000"), "a.jpeg2000"),
        (("-o", "nowhere/a.svg"), "there is no folder"),
        (("--timeout", "0"), "invalid value 0"),
        (("--style", "torchvis"), "torchviz"),
        (("nowhere.json",), "there is no file nowhere.json"),
    ):
        code, out, err = render(*words)
        assert (code, out) == (2, ""), words
        assert len(err.splitlines()) == 2 and said in err, err


def test_torchviz_draws_the_same_loss(render: Main, tmp_path: Path) -> None:
    assert render("naive", "--style", "torchviz", "-o", "a.dot")[0] == 0
    text = (tmp_path / "a.dot").read_text()
    assert "AddmmBackward0" in text and "D.4.weight" in text
    assert render("naive", "--style", "torchviz", "-o", "a.svg")[0] == 0


@pytest.mark.parametrize("name", ["naive-overview", "naive-overview-dark", "naive-op"])
def test_the_pictures_in_the_docs_are_these(render: Main, tmp_path: Path, name: str) -> None:
    """Their words only: where they stand is Graphviz's affair."""
    options = ["--level", "op", "--color", "version"] if name.endswith("op") else []
    theme = "dark" if name.endswith("dark") else "light"
    assert render("naive", "-o", "a.svg", "--theme", theme, *options)[0] == 0
    kept = Path(__file__).parents[2] / "docs" / "images" / f"{name}.svg"
    made, shown = (
        [each.text for each in ElementTree.parse(path).iter() if (each.text or "").strip()]
        for path in (tmp_path / "a.svg", kept)
    )
    assert made == shown, "run python docs/images/figures.py"


def test_figures_change_nothing(tmp_path: Path, render: Main) -> None:
    """The program's numbers with its graphs taken are those without."""
    script = tmp_path / "train.py"
    script.write_text(ACTOR_CRITIC + "print(actor_loss.item(), actor.weight.sum().item())\n")
    with contextlib.redirect_stdout(io.StringIO()) as plain:
        runpy.run_path(str(script), run_name="__main__")
    code, _, err = render(str(script), "-o", "a.svg")
    assert code == 0 and plain.getvalue() and plain.getvalue() in err


@pytest.mark.parametrize("name", [each.name for each in catalogue.scenarios()])
@pytest.mark.parametrize("level", ["overview", "module"])
def test_every_scenario_is_drawn_in_few_boxes(name: str, level: Any) -> None:
    drawn = drawing(taken(name), FigureOptions(level))
    assert len(drawn.boxes) <= (24 if level == "overview" else 48)
    keys = [box.key for box in drawn.boxes]
    assert len(keys) == len(set(keys))
    assert {end for each in drawn.arrows for end in (each.source, each.target)} <= set(keys)

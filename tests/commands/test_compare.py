"""graphlab compare, as a user calls it: what it measures, what it writes, what it refuses."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graphlab import catalogue, lab
from graphlab.catalogue import scenario
from graphlab.commands.compare import DEFAULT
from graphlab.compare import reference

CPU = ("--device", "cpu")


def test_every_default_loop_is_there() -> None:
    assert set(DEFAULT) <= {each.name for each in catalogue.scenarios()}
    assert len(set(DEFAULT)) == len(DEFAULT)


LOOPS = ("naive", "detach", "recompute", "joint-one-to-one")


@pytest.fixture(scope="module")
def measured(command_in: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Those loops and one of a user's own over six iterations, by name; under "" the whole
    document."""
    folder = tmp_path_factory.mktemp("compare")
    # Other names than the scenarios', and latents that are not drawn by torch.randn.
    text = scenario("detach").path.read_text(encoding="utf-8")
    text = text.replace("G(", "maker(").replace("G,", "maker,").replace(" G)", " maker)")
    text = text.replace("torch.randn(img.shape[0], args.n_latent)", "draw(img.shape[0])")
    text = text.replace("args = lab", "draw = lambda n: torch.rand(n, 32) - 0.5\nargs = lab")
    (folder / "mine.py").write_text(text, encoding="utf-8")
    ran = command_in(
        folder, "compare", *LOOPS, "mine.py", "--json", "all.json", "--steps", "6", *CPU
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    found = json.loads((folder / "all.json").read_text(encoding="utf-8"))
    return {"": found, "stdout": ran.stdout, **{each["name"]: each for each in found["loops"]}}


def test_a_loop_that_raises_is_a_result(measured: dict[str, Any]) -> None:
    naive = measured["naive"]
    assert (naive["outcome"], naive["exception"]) == ("raised", "RuntimeError")
    assert [each["code"] for each in naive["findings"]] == ["GL001", "GL108"]
    (only,) = naive["iterations"]
    assert not only["completed"]
    assert only["D"]["changed"] and only["D"]["update"]["relative_error"] == 0.0
    assert only["G"] == {"steps": 0, "changed": False, "update": None, "gradient": None}
    for cost in ("forwards", "backwards", "saved_bytes", "seconds", "time_ratio"):
        assert naive[cost] is None


@pytest.mark.parametrize("name", ["detach", "recompute"])
def test_the_repairs_are_the_reference(measured: dict[str, Any], name: str) -> None:
    loop = measured[name]
    assert len(loop["iterations"]) == measured[""]["steps"] == 6
    for each in loop["iterations"]:
        for network in ("D", "G"):
            assert each[network]["changed"]
            assert each[network]["update"]["relative_error"] == 0.0
    assert loop["forwards"] == {"D": 4.0, "G": 1.0}
    assert loop["backwards"] == 2.0


def test_the_mixed_loop_is_not(measured: dict[str, Any]) -> None:
    loop = measured["joint-one-to-one"]
    assert [each["code"] for each in loop["findings"] if each["severity"] == "warning"] == ["GL101"]
    later = loop["iterations"][1:]
    assert min(each["G"]["gradient"]["cosine"] for each in later) < -0.9
    assert max(each["G"]["update"]["relative_error"] for each in later) > 1.0
    assert loop["forwards"] == {"D": 2.0, "G": 1.0}


def test_what_a_loop_costs(measured: dict[str, Any]) -> None:
    whole = [measured[name] for name in (*LOOPS[1:], "mine")]
    assert min(each["time_ratio"] for each in whole) == 1.0
    for each in whole:
        ratio = each["seconds"] / min(other["seconds"] for other in whole)
        assert each["time_ratio"] == pytest.approx(ratio)
        assert each["cuda_peak_bytes"] is None
    assert measured["recompute"]["saved_bytes"] > 1.5 * measured["detach"]["saved_bytes"]


def test_the_first_iteration_as_autograd_has_it(measured: dict[str, Any]) -> None:
    """G's gradient at the first step of the one-to-one loop, beside the right one."""
    args = lab.arguments(argv=("--steps", "6", *CPU))
    G, D = lab.networks(args)
    optimizer_D = lab.optimizer(args, D)
    img, _ = next(iter(lab.batches(args)))
    latent = torch.randn(len(img), args.n_latent)

    def gradient(at: int, net: nn.Module) -> Tensor:
        own = list(net.parameters())
        loss = reference.losses(D(img), D(G(latent)))[at]
        return torch.cat([each.flatten() for each in torch.autograd.grad(loss, own)])

    mixed = gradient(0, G) + gradient(1, G)
    for parameter, grad in zip(
        D.parameters(),
        torch.autograd.grad(reference.losses(D(img), D(G(latent)))[0], list(D.parameters())),
        strict=True,
    ):
        parameter.grad = grad
    optimizer_D.step()
    right = gradient(1, G)
    told = measured["joint-one-to-one"]["iterations"][0]["G"]["gradient"]
    error = float((mixed - right).norm() / right.norm())
    assert told["relative_error"] == pytest.approx(error, rel=0.01)
    cosine = float(torch.cosine_similarity(mixed, right, dim=0))
    assert told["cosine"] == pytest.approx(cosine, abs=0.01)


def test_the_table_is_printed_beside_a_file(measured: dict[str, Any]) -> None:
    lines = measured["stdout"].splitlines()
    assert max(map(len, lines)) <= 80
    for name in (*LOOPS, "mine"):
        assert any(line.startswith(f"{name} ") for line in lines)


def test_training_with_two_seeds_and_every_output(command: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("compare", "joint-one-to-one", "detach", "--train", "2", "--seeds", "2")
    outputs = ("--figure", "f.png", "--html", "f.html", "--markdown", "f.md", "--json", "-")
    ran = command(*words, *outputs, "--steps", "2", "--batch-size", "256", "--seed", "5", *CPU)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["training"]
    assert (found["epochs"], found["seeds"], found["iterations_per_epoch"]) == (2, [5, 6], 8)
    for loop in found["loops"]:
        assert [run["seed"] for run in loop["runs"]] == [5, 6]
        assert loop["runs"][0]["judged"] != loop["runs"][1]["judged"]
        for run in loop["runs"]:
            assert run["iterations"] == 16
            assert [each["iterations"] for each in run["losses"]] == [0, 8, 16]
            assert 1 <= run["judged"]["distinct"] <= run["judged"]["samples"] == 500
    mixed, alone = (loop["runs"][0]["applied"] for loop in found["loops"])
    assert all(each["foreign_share"] > 0 for each in mixed)
    assert all(each["foreign_share"] == 0 for each in alone)
    assert len(mixed) == len(alone) > 0
    assert "After 2 epochs" in ran.stderr
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in (tmp_path / "f.html").read_text(encoding="utf-8")
    assert (tmp_path / "f.md").read_text(encoding="utf-8").startswith("## Loops side by side")
    again = command(*words, *outputs)
    assert again.returncode == 2
    assert "f.png already exists" in again.stderr or "f.md already exists" in again.stderr


def test_a_loop_of_ones_own(measured: dict[str, Any]) -> None:
    loop = measured["mine"]
    assert [each["G"]["update"]["relative_error"] for each in loop["iterations"]] == [0.0] * 6


def test_a_script_without_the_lab_is_refused(command: Any, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("import torch\n", encoding="utf-8")
    ran = command("compare", "other.py", *CPU)
    assert_refused(ran, "other has no iteration to compare")


def assert_refused(ran: Any, said: str) -> None:
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    error, help = ran.stderr.splitlines()
    assert error.startswith(f"error: {said}"), error
    assert help.startswith("help: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("naiv",), "no scenario is called 'naiv'"),
        (("detach", "--figure", "f.png"), "--figure has no effect without --train"),
        (("detach", "--seeds", "3"), "--seeds has no effect without --train"),
        (("detach", "--train", "0"), "invalid value '0' for --train"),
        (("detach", "--train", "1", "--figure", "f.jpg"), "--figure f.jpg: a figure is a PNG"),
        (("detach", "--json", "-", "--markdown", "-"), "--json and --markdown both write to -"),
        (("detach", "--json", "here.txt"), "here.txt already exists"),
        (("detach", "--samples", "s.png"), "--samples belongs to a single run"),
        (("detach", "--arch", "cnn"), "argument --arch: invalid choice: 'cnn'"),
        (("nowhere.py",), "there is no file nowhere.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_refused(command: Any, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "here.txt").write_text("kept", encoding="utf-8")
    assert_refused(command("compare", *words), said)
    assert (tmp_path / "here.txt").read_text(encoding="utf-8") == "kept"


def test_a_figure_without_matplotlib_is_refused_before_the_work(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = command("compare", "detach", "--train", "1", "--figure", "f.png")
    assert_refused(ran, "--figure draws with matplotlib, which is not installed")
    assert "[plots]" in ran.stderr


# The page


PAGE = Path(__file__).parents[2] / "docs" / "black-images.md"


def test_the_page_predicts_what_the_reference_does() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for value in (*reference.least_sum(64), *reference.balance(64)):
        assert f"= {value:.3f}" in text
    measured = re.findall(r"^\| `([DG])_loss_` \| (.*) \|$", text, re.MULTILINE)
    assert [network for network, _ in measured] == ["D", "G"]
    for (_, row), right in zip(measured, reference.least_sum(64), strict=True):
        values = [float(each) for each in row.split("|")]
        assert len(values) == 5
        assert values == pytest.approx([right] * 5, abs=0.01)


def test_the_pages_commands_and_pictures_exist(command: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = command("compare", "--help").stdout
    shared = PAGE.with_name("lab.md").read_text(encoding="utf-8")
    commands = re.findall(r"graphlab compare ([^`]*?)(?:`|$)", text, re.MULTILINE)
    assert len(commands) == 3
    for words in commands:
        for word in words.split():
            if word.startswith("--"):
                assert word in told or f"`{word}" in shared, word
    pictures = re.findall(r"\]\((images/[^)]+)\)", text)
    assert len(pictures) == 2
    for picture in pictures:
        assert (PAGE.parent / picture).read_bytes().startswith(b"\x89PNG")

"""What the README promises: its commands, its links, its picture, and the pinned versions."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from graphlab.catalogue import scenario
from graphlab.rules.pages import page

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TEST_COMMAND = "pip install -c constraints.txt '.[test]' && pytest"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The words after `program`, for each of its calls in the README's shell blocks."""
    lines = [part for block in blocks("sh") for line in block.splitlines() for part in _split(line)]
    return [words[1:] for words in map(shlex.split, lines) if words[0] == program]


def _split(line: str) -> list[str]:
    return [part.strip() for part in line.split("&&")]


@pytest.fixture
def graphlab(command_in: Any) -> Callable[..., Any]:
    return lambda *words: command_in(ROOT, *words)


def test_the_first_screen_sets_everything_up() -> None:
    first = "pip install -c constraints.txt . && graphlab run naive --explain"
    shown = [line for block in blocks("sh") for line in block.splitlines()]
    assert shown[:2] == [first, TEST_COMMAND]


@pytest.mark.parametrize("verb", sorted({words[0] for words in commands("graphlab")}))
def test_every_option_of_a_verb_exists(verb: str, graphlab: Callable[..., Any]) -> None:
    told = graphlab(verb, "--help")
    assert told.returncode == 0, told.stderr
    # What follows a scenario's name may also be one of the arguments that scenarios share.
    shared = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    for words in commands("graphlab"):
        own = words[: words.index("--")] if "--" in words else words
        for word in own[1:]:
            if words[0] == verb and word.startswith("-"):
                known = re.search(rf"(?<![\w-]){word}(?![\w-])", told.stdout)
                assert known or f"`{word} " in shared, f"graphlab {' '.join(words)}"


def test_every_scenario_and_code_exists() -> None:
    targets = [words[1] for words in commands("graphlab") if words[0] == "run"]
    names = [name for name in targets if not name.startswith("-") and not name.endswith(".py")]
    assert "naive" in names
    for name in names:
        assert scenario(name).path.is_file()
    for words in commands("graphlab"):
        if words[0] == "explain":
            assert words[1] in page(words[1])
    for path in re.findall(r"python (\S+\.py)", README):
        assert (ROOT / path).is_file()


def test_list_and_explain_as_printed(graphlab: Callable[..., Any]) -> None:
    for words in (["list"], ["explain", "GL001"]):
        assert words in commands("graphlab")
        told = graphlab(*words)
        assert told.returncode == 0, told.stderr
        assert "GL001" in told.stdout


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    weight = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1, fused=True)

    def train() -> None:
        loss = (weight**2).sum()
        loss.backward(retain_graph=True)
        optimizer.step()
        loss.backward()

    exec(compile(example, "README.md", "exec"), {"train": train})
    assert "GL105 weight" in capsys.readouterr().out


@pytest.mark.parametrize(
    "document",
    ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/render.md", "docs/the-post.md"],
)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert link.startswith("https://") or (path.parent / link.partition("#")[0]).is_file()


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.text]


def test_the_picture_is_what_graphlab_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words only: where they stand is rich's affair."""
    folder = ROOT / "docs" / "images"
    spec = importlib.util.spec_from_file_location("make", folder / "make.py")
    assert spec is not None and spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    monkeypatch.chdir(ROOT)
    kept = texts((folder / "naive.svg").read_text(encoding="utf-8"))
    assert any("D.4.weight" in text for text in kept)
    assert texts(make.picture()) == kept, "run python docs/images/make.py"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in found}


def requirements() -> list[Requirement]:
    extras = [each for group in PROJECT["optional-dependencies"].values() for each in group]
    return [Requirement(each) for each in PROJECT["dependencies"] + extras]


def test_pins_satisfy_the_project() -> None:
    for each in requirements():
        pin = pins().get(canonicalize_name(each.name))
        assert pin is None or each.specifier.contains(pin), f"{each} against {pin}"


def test_everything_that_runs_is_pinned() -> None:
    needed = {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
    assert needed <= pins().keys()


def test_ci_installs_with_the_readmes_command() -> None:
    install = TEST_COMMAND.partition(" && ")[0]
    assert f"\n{install}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")

"""Imports point down, form no circle, and the house stays a house of small rooms."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.layers.imports import circles, part_of, read, upward

ROOT = Path(__file__).parents[2]
PACKAGE = read(ROOT / "graphlab")

# From the ground up. A part imports from lower floors alone: those side by side never each other.
FLOORS = [
    ("errors", "text", "_version"),
    ("language",),
    ("trace", "output", "catalogue"),
    ("source",),
    ("lab", "observe", "rules", "views"),
    ("api", "compare", "ranks"),
    ("fix",),
    ("learn",),
    ("commands", "pytest_plugin", "lightning", "transformers", "ignite", "__init__"),
    ("cli",),
    ("__main__",),
]
# The same within `observe`; its `__init__` is empty.
OBSERVE = [
    ("__init__", "tensors", "program_state", "program_end", "process_state", "marks"),
    ("notes", "iterations", "distributed"),
    ("names",),
    ("price",),
    ("graph",),
    ("hooks",),
    ("origins",),
    ("lineage",),
    ("refusals",),
    ("failures",),
    ("optimizers", "backward_calls"),
    ("live_objects",),
    ("numbers",),
    ("sightings",),
    ("build_trace",),
    ("film", "postmortem"),
    ("observation",),
    ("program",),
]
# What each part may import besides the standard library.
THIRD_PARTY = {
    "output": {"rich"},
    "views": {"graphviz", "matplotlib", "rich"},
    "lab": {"torch", "torchvision"},
    "observe": {"torch"},
    "api": {"IPython", "rich", "torch"},
    "compare": {"torch"},
    "learn": {"watchfiles"},
    "commands": {"PIL", "rich", "torchviz"},
    "pytest_plugin": {"pytest", "rich"},
    "lightning": {"lightning"},
    "transformers": {"transformers"},
    "ignite": {"ignite"},
    "cli": {"typer"},
}
# One file a rule: the one folder that may hold more than a dozen modules side by side.
MANY = {"rules"}


def test_imports_lead_to_lower_floors() -> None:
    assert upward(PACKAGE.uses, FLOORS, "graphlab") == []


def test_imports_within_the_observer_lead_down_too() -> None:
    assert upward(PACKAGE.uses, OBSERVE, "graphlab.observe") == []


def test_no_modules_import_each_other() -> None:
    assert circles(PACKAGE.uses) == []


@pytest.mark.parametrize("part", sorted(part for floor in FLOORS for part in floor))
def test_a_part_takes_no_other_package_than_it_says(part: str) -> None:
    asked = {
        f"{module} imports {other}"
        for module, others in PACKAGE.others.items()
        for other in others - THIRD_PARTY.get(part, set())
        if part_of(module, "graphlab") == part
    }
    assert asked == set()


def test_files_are_short() -> None:
    texts = [path for kind in ("py", "js", "css") for path in ROOT.rglob(f"graphlab/**/*.{kind}")]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in texts
    }
    assert lengths and {name: n for name, n in lengths.items() if n > 400} == {}


def test_folders_are_small() -> None:
    files = [path for path in PACKAGE.files.values() if path.name != "__init__.py"]
    folders = Counter(path.parent.relative_to(ROOT / "graphlab").as_posix() for path in files)
    assert {name: n for name, n in folders.items() if n > 12 and name not in MANY} == {}

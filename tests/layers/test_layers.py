"""Dependencies point one way: commands, then views, rules, observe and lab, then trace."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "graphlab"
# What makes the lab's data is run by hand and imported by nothing.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "data")

# What each lower part may import of graphlab besides itself. A part that is not named here is an
# upper one, such as commands: it may import them all, and none of them may import it.
MAY_IMPORT = {
    "trace": set[str](),
    "errors": set[str](),
    "catalogue": {"errors"},
    "lab": set[str](),
    "rules": {"trace"},
    "views": {"trace"},
    "source": {"trace"},
    "observe": {"trace", "errors", "catalogue", "source"},
}
# The packages each may import besides the standard library.
THIRD_PARTY = {
    "trace": set[str](),
    "errors": set[str](),
    "catalogue": set[str](),
    "rules": set[str](),
    "source": set[str](),
    "views": {"graphviz", "matplotlib", "rich"},
    "lab": {"torch", "torchvision"},
    "observe": {"torch"},
    "commands": {"rich", "torchviz"},
    "cli": {"typer"},
}


def imports(source: str, module: str) -> set[str]:
    """Dotted names of all that `module` imports, wherever in the file; names that are imported
    from a package are joined to it."""
    package = module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def imported_by(path: Path) -> set[str]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return imports(path.read_text(encoding="utf-8"), name)


def part_of(path: Path) -> str:
    """`observe` for graphlab/observe/tracer.py, `errors` for graphlab/errors.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def parts(names: set[str]) -> set[str]:
    """The parts of graphlab among imported names; the package's own `__version__` is none."""
    tops = {name.split(".")[1] for name in names if name.startswith("graphlab.")}
    return {top for top in tops if (PACKAGE / top).is_dir() or (PACKAGE / f"{top}.py").is_file()}


def others(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"graphlab"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import graphlab.views.story", {"graphlab.views.story"}),
        ("from graphlab import views, lab", {"graphlab.views", "graphlab.lab"}),
        ("from ..views.story import Story", {"graphlab.views.story.Story"}),
        ("from .. import views", {"graphlab.views"}),
        ("def f():\n    import torch.nn as nn", {"torch.nn"}),
    ],
)
def test_every_form_of_import_is_seen(line: str, expected: set[str]) -> None:
    assert imports(line, "graphlab.rules.stale") == expected


def test_the_lower_parts_are_all_there() -> None:
    here = {part_of(path) for path in MODULES}
    assert here >= MAY_IMPORT.keys() | THIRD_PARTY.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    names = imported_by(path)
    if part in MAY_IMPORT:
        assert parts(names) - {part} <= MAY_IMPORT[part]
    if part in THIRD_PARTY:
        assert others(names) <= THIRD_PARTY[part]


def test_every_module_stands_on_the_map() -> None:
    told = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if path.name != "__init__.py"
        and not path.name.startswith("gl")
        and f"`{path.relative_to(PACKAGE).as_posix()}`" not in told
    ]
    assert missing == []

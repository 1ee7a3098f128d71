"""What the modules of a package import, read from their source: wherever in the file it stands,
inside functions and under TYPE_CHECKING too."""

from __future__ import annotations

import ast
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Package:
    """`uses` has for each module the modules of the package that it imports, `others` the names
    of other packages that are not the standard library's. Modules are dotted names."""

    files: dict[str, Path]
    uses: dict[str, set[str]]
    others: dict[str, set[str]]


def read(folder: Path) -> Package:
    """The package in `folder`, which gives it its name. A folder with data alone has no module."""
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = (folder.name, *path.relative_to(folder).with_suffix("").parts)
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    uses: dict[str, set[str]] = {}
    others: dict[str, set[str]] = {}
    for name, path in files.items():
        is_package = path.name == "__init__.py"
        asked = imported(path.read_text(encoding="utf-8"), name, is_package)
        inner = {each for each in asked if each.split(".")[0] == folder.name}
        uses[name] = {_module(each, files) for each in inner} - {name}
        tops = {each.split(".")[0] for each in asked - inner}
        others[name] = tops - sys.stdlib_module_names
    return Package(files, uses, others)


def imported(source: str, module: str, is_package: bool = False) -> set[str]:
    """Dotted names of all that `module` imports; names taken from a package are joined to it."""
    package = module if is_package else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def _module(name: str, files: dict[str, Path]) -> str:
    """The module that holds `name`: itself, or the nearest package or module around it."""
    while name not in files and "." in name:
        name = name.rpartition(".")[0]
    return name


def part_of(module: str, package: str) -> str:
    """``views`` for graphlab.views.console in graphlab; ``__init__`` for graphlab itself."""
    return module.removeprefix(package).removeprefix(".").split(".")[0] or "__init__"


def circles(uses: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, by whatever detour: the strongly connected
    components of more than one module (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        path.append(module)
        for used in sorted(uses[module]):
            if used not in number:
                visit(used)
                lowest[module] = min(lowest[module], lowest[used])
            elif used in path:
                lowest[module] = min(lowest[module], number[used])
        if lowest[module] == number[module]:
            group = path[path.index(module) :]
            del path[path.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in uses:
        if module not in number:
            visit(module)
    return found


def upward(uses: dict[str, set[str]], floors: list[tuple[str, ...]], prefix: str) -> list[str]:
    """The imports that do not lead to a lower floor, or stay within their part, and the parts
    that stand on no floor. `floors` names the parts from the lowest up, `prefix` the package
    that they are parts of."""
    floor = {part: at for at, parts in enumerate(floors) for part in parts}
    inside = {module for module in uses if module == prefix or module.startswith(prefix + ".")}
    unnamed = sorted({part_of(module, prefix) for module in inside} - floor.keys())
    wrong = [f"{part} stands on no floor" for part in unnamed]
    for module in sorted(inside):
        part = part_of(module, prefix)
        for used in sorted(uses[module] & inside):
            other = part_of(used, prefix)
            known = part in floor and other in floor
            if known and part != other and floor[other] >= floor[part]:
                wrong.append(f"{module} imports {used}")
    return wrong

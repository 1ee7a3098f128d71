"""Write the map of docs/architecture.md: a table a folder, a line a module.

    python tools/make_map.py            write it anew
    python tools/make_map.py --check    say whether it is as the modules are; exit code 1 if not

The line of a module is the first sentence of its docstring, so it is changed there.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "graphlab"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- The map: made by tools/make_map.py from the modules' docstrings. -->"
END = "<!-- End of the map. -->"


def told(path: Path) -> str:
    """The first sentence of a module's docstring, on one line; "" where it has none."""
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(words.split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", first)[0]


def table(folder: Path) -> list[str]:
    """The heading of a folder and the lines of its modules; nothing for one that has none."""
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    if not modules:
        return []
    name = folder.relative_to(PACKAGE).as_posix()
    lines = ["### The package itself" if folder == PACKAGE else f"### `{name}`", ""]
    own = folder / "__init__.py"
    if own.is_file() and told(own) and folder != PACKAGE:
        lines += [told(own), ""]
    lines += ["| module | what it does |", "| --- | --- |"]
    for path in modules:
        if not told(path):
            sys.exit(f"error: {path.relative_to(ROOT)} has no docstring")
        cell = told(path).removesuffix(".").replace("|", "\\|")
        lines.append(f"| `{path.relative_to(PACKAGE).as_posix()}` | {cell} |")
    return [*lines, ""]


def made(page: str) -> str:
    """The page with the map of the tree as it is."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"error: {PAGE.relative_to(ROOT)} has no marks for the map")
    folders = [PACKAGE, *sorted(path for path in PACKAGE.rglob("*") if path.is_dir())]
    lines = [line for folder in folders for line in table(folder)]
    return "\n".join([before + BEGIN, "", *lines, END + after])


def main(argv: list[str]) -> int:
    if argv not in ([], ["--check"]):
        print(__doc__)
        return 2
    page = PAGE.read_text(encoding="utf-8")
    new = made(page)
    if not argv:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        print(f"{PAGE.relative_to(ROOT)} is stale: run python tools/make_map.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

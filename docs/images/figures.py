"""Makes the figures of the README and of docs/render.md: naive at three levels, light and dark.

python docs/images/figures.py [FOLDER]
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from graphlab.cli import app

FIGURES = {
    "naive-overview": ["naive"],
    "naive-module": ["naive", "--level", "module"],
    "naive-op": ["naive", "--level", "op", "--color", "version"],
    "joint-loss": ["joint", "--color", "loss", "--", "--steps", "8"],
}


def make(folder: Path) -> None:
    for name, words in FIGURES.items():
        for theme in ("light", "dark"):
            path = folder / f"{name}{'-dark' if theme == 'dark' else ''}.svg"
            options = ["-o", str(path), "--force", "--theme", theme]
            with (
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                app(["render", words[0], *options, *words[1:]], standalone_mode=False)
            print(path)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

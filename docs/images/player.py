"""Makes player.png and player-dark.png: the naive loop's player at the step that fails.

    python docs/images/player.py [FOLDER]

Run it from the top of the checkout. It takes a browser: Playwright for Python, and Chromium.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from graphlab.cli import app

SIZE = {"width": 1280, "height": 720}


def make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        page = Path(scratch) / "naive.html"
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            app(["run", "naive", "--html", str(page)], standalone_mode=False)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or "/usr/bin/chromium", args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            path = folder / f"player{'-dark' if scheme == 'dark' else ''}.png"
            opened = browser.new_page(viewport=SIZE, color_scheme=scheme)
            opened.goto(page.as_uri())
            opened.screenshot(path=path)
            print(path)
        browser.close()


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)

"""How fast the player steps through a long iteration, in a real browser.

    python benchmarks/player.py [--turns 650] [--browser /usr/bin/chromium]

A recurrent loop of so many turns is recorded; every turn is three lines. The page is then stepped
from its first to its last step, one step a frame, and back. Printed are the page's size, the
script's own time a step, and the frames: at 60 a second one takes 16.7 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path

from graphlab.api.player import Player, film_of, played_run
from graphlab.observe import program
from graphlab.observe.observation import Observation
from graphlab.rules.registry import find

SCRIPT = """
import torch

torch.manual_seed(0)
cell = torch.nn.RNNCell(8, 16)
head = torch.nn.Linear(16, 4)
optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.01)
hidden, loss = torch.zeros(1, 16), torch.zeros(())
for turn in range({turns}):
    hidden = cell(torch.randn(1, 8), hidden)
    loss = loss + head(hidden).square().sum()
loss.backward()
optimizer.step()
"""

# One step a frame; resolves to [milliseconds in the script, milliseconds between frames], a step.
STEP = """
async (key) => {
  const spent = [], frames = [];
  let before = null;
  const press = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  for (let left = Number(document.querySelector(".gl-slide input").max) - 1; left > 0; left -= 1) {
    const now = await new Promise(requestAnimationFrame);
    if (before !== null) frames.push(now - before);
    before = now;
    const begin = performance.now();
    document.body.dispatchEvent(press);
    spent.push(performance.now() - begin);
  }
  return [spent, frames];
}
"""


def recorded(turns: int) -> Player:
    sessions: list[Observation] = []

    def started(session: Observation) -> None:
        sessions.append(session)
        session.keep_film()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.py"
        path.write_text(SCRIPT.format(turns=turns), encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()):
            ran = program.run(program.script(str(path)), [], "train.py", started)
        findings = find(ran.trace)
        film = film_of(sessions[0], ran.trace, findings)
    assert film is not None
    print(f"{len(film.moments)} steps, {len(film.events)} events")
    return Player([played_run(ran.trace, film, findings)])


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    player = recorded(options.turns)
    begin = time.perf_counter()
    html = player.html
    print(f"made in {time.perf_counter() - begin:.1f} s, {len(html.encode()) / 1e6:.2f} MB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = Path(folder) / "player.html"
        path.write_text(html, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(path.as_uri())
        page.keyboard.press("Home")
        for key in ("ArrowRight", "ArrowLeft"):
            spent, frames = page.evaluate(STEP, key)
            for name, each in (("script", spent), ("frame", frames)):
                each.sort()
                print(
                    f"{key:<10} {name:<6} median {statistics.median(each):5.1f} ms, "
                    f"99 of 100 within {each[len(each) * 99 // 100]:5.1f} ms"
                )
        browser.close()


if __name__ == "__main__":
    main()

"""Makes fix.svg, the README's picture of a table of repairs: what graphlab fix says of the naive
scenario.

    python docs/images/fix.py [FILE]

Run it from the top of the checkout, so that the picture shows paths as a reader there sees them.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent))

from make import FRAME, SCRIPT

from graphlab.fix.processes import Processes
from graphlab.fix.search import Asked, Search
from graphlab.views.terminal.repairs import RepairTable

COMMAND = "graphlab fix naive"


class Quiet:
    """Tells nobody how far it is."""

    def trying(self, at: int, count: int) -> None:
        pass


def picture() -> str:
    """The SVG text: the finding, the repairs that were tried, and the best of them, as a diff."""
    # As many iterations in each run, on a fast machine and a slow one.
    arguments = ("--steps", "8")
    with Processes() as processes:
        asked = Asked(SCRIPT, "naive", False, arguments)
        repairs = Search(asked, processes, Quiet()).run()
    console = Console(
        record=True, width=92, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(RepairTable(repairs, repairs.chosen), Text(), sep="\n")
    return console.export_svg(title=COMMAND, theme=MONOKAI, code_format=FRAME, unique_id="fix")


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("fix.svg"))
    target.write_text(picture(), encoding="utf-8")

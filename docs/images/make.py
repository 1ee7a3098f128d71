"""Makes naive.svg, the README's picture: what graphlab says of the naive scenario.

    python docs/images/make.py [FILE]

Run it from the top of the checkout, so that the picture shows paths as a reader there sees them.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from graphlab.observe import program
from graphlab.rules.registry import find
from graphlab.views.terminal.ledger import Ledger
from graphlab.views.terminal.story import Story

COMMAND = "graphlab run naive --explain"
SCRIPT = "scenarios/softmaxgan/naive.py"

# Rich's frame loads a web font, which a picture in a README may not; the reader's own will do.
FRAME = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def picture() -> str:
    """The SVG text: the finding with its first repair and the ledger, 80 columns wide."""
    with contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(SCRIPT), [], "naive")
    finding = find(ran.trace)[0]
    console = Console(
        record=True, width=80, file=io.StringIO(), force_terminal=True, highlight=False
    )
    # The last line is left empty: rich's frame cuts off what hangs below it.
    console.print(Story(finding, repairs=1), Text(), Ledger(ran.trace), Text(), sep="\n")
    return console.export_svg(title=COMMAND, theme=MONOKAI, code_format=FRAME, unique_id="naive")


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("naive.svg"))
    target.write_text(picture(), encoding="utf-8")

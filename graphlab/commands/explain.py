"""graphlab explain: the page of a rule, in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

from graphlab.catalogue import suggestion
from graphlab.errors import UserError
from graphlab.rules.registry import CODES
from graphlab.views.terminal import emit, stdout

_LOOKALIKES = str.maketrans("oOiIlL", "001111")
_HERE = Path(__file__).resolve().parent.parent


def page(code: str) -> str:
    """The Markdown of a rule's page, by code or name. Raises UserError for an unknown one."""
    wanted = code.strip()
    for each in CODES:
        if wanted.upper() == each.code or wanted.lower() == each.name:
            return _folder().joinpath(f"{each.code}.md").read_text(encoding="utf-8")
    number = re.fullmatch(r"(?i)gl0*(\d+)", wanted)
    if number and f"GL{int(number[1]):03}" in {each.code for each in CODES}:
        return page(f"GL{int(number[1]):03}")
    known = [each.code for each in CODES] + [each.name for each in CODES]
    if wanted[:2].upper() == "GL":
        # The letters that a code's digits are mistaken for.
        wanted = "GL" + wanted[2:].translate(_LOOKALIKES)
    near = suggestion(wanted, known)
    raise UserError(f"no rule has the code {code!r}", near)


def summary(code: str) -> str:
    """The first paragraph of a rule's page, on one line."""
    paragraphs = page(code).split("\n\n")
    return " ".join(paragraphs[1].split())


def why(code: str) -> str:
    """The first paragraph of what a rule's page says of why it is bad, on one line; without its
    last sentence where that only leads over to PyTorch's own words."""
    _, _, rest = page(code).partition("\n## Why is this bad\n\n")
    text = " ".join(rest.partition("\n\n")[0].split()).replace("`", "")
    return text.rpartition(". ")[0] + "." if text.endswith(":") else text


def explain(code: str | None) -> int:
    console = stdout()
    if code is None:
        from graphlab.commands.list import rules

        rules(console)
        return 0
    from rich.markdown import Markdown

    emit(console, Markdown(page(code), code_theme="ansi_dark", hyperlinks=False))
    return 0


def _folder() -> Path:
    inside = _HERE / "docs" / "rules"
    return inside if inside.is_dir() else _HERE.parent / "docs" / "rules"

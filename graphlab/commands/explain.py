"""graphlab explain: the page of a rule, in the terminal."""

from __future__ import annotations

import re

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.language.lists import suggestion
from graphlab.rules.pages import page
from graphlab.rules.registry import RULES
from graphlab.views.console import emit, stdout

_LOOKALIKES = str.maketrans("oOiIlL", "001111")


def code_of(words: str) -> str:
    """The code for `words`: a code, also without its zeros, or the name of a rule.

    Raises:
        UserError: for an unknown one, with the nearest.
    """
    wanted = words.strip()
    codes = {each.code for each in RULES}
    for each in RULES:
        if wanted.upper() == each.code or wanted.lower() == each.name:
            return each.code
    number = re.fullmatch(r"(?i)gl0*(\d+)", wanted)
    if number and f"GL{int(number[1]):03}" in codes:
        return f"GL{int(number[1]):03}"
    if wanted[:2].upper() == "GL":
        # Letters that are easily taken for digits.
        wanted = "GL" + wanted[2:].translate(_LOOKALIKES)
    near = suggestion(wanted, [each.code for each in RULES] + [each.name for each in RULES])
    raise UserError(message("usage.no_rule", code=repr(words)), near)


def explain(code: str | None) -> int:
    console = stdout()
    if code is None:
        from graphlab.commands.list import rules

        rules(console)
        return 0
    from rich.markdown import Markdown

    emit(console, Markdown(page(code_of(code)), code_theme="ansi_dark", hyperlinks=False))
    return 0

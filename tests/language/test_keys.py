"""Every key that the rules use has a text with their arguments, and every text is used."""

from __future__ import annotations

import ast
import functools
import re
import string
from pathlib import Path

import graphlab
from graphlab import language

PACKAGE = Path(graphlab.__file__).parent
# What an f-string fills in.
ANY = "[^.]+"
AREAS = (
    "errors", "fix", "numbers", "observed", "ranks", "repairs", "training", "usage", "words",
)  # fmt: skip
ENGLISH = {k: v for k, v in language.catalogue("en").items() if k.split(".")[0] in AREAS}


@functools.cache
def trees() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def pattern(node: ast.AST) -> str | None:
    """A key as it is written, as a regular expression; None for what is no key."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = re.escape(node.value)
    elif isinstance(node, ast.JoinedStr):
        found = "".join(map(_part, node.values))
    else:
        return None
    return found if found.split(r"\.")[0] in AREAS else None


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    value = node.value if isinstance(node, ast.FormattedValue) else None
    if isinstance(value, ast.IfExp):
        both = (value.body, value.orelse)
        return f"(?:{'|'.join(_part(e) if isinstance(e, ast.Constant) else ANY for e in both)})"
    return ANY


def test_every_call_names_a_text_and_gives_its_arguments() -> None:
    wrong = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            called = getattr(node, "func", None)
            if not isinstance(called, ast.Name) or called.id != "message":
                continue
            assert isinstance(node, ast.Call)
            key = pattern(node.args[0])
            fitting = [k for k in ENGLISH if key is not None and re.fullmatch(key, k)]
            given = {word.arg for word in node.keywords}
            missing = {
                field
                for each in fitting
                for _, field, _, _ in string.Formatter().parse(ENGLISH[each])
                if field is not None and field not in given
            }
            # Which key it is, or which arguments there are, only a run tells of some.
            known = key is not None and ANY not in key and None not in given
            if (key is not None and not fitting) or (known and missing):
                wrong.append(f"{name}:{node.lineno} {key} {missing}")
    assert wrong == []


def test_every_text_is_used() -> None:
    used = {
        key
        for tree in trees().values()
        for node in ast.walk(tree)
        if (key := pattern(node)) is not None
    }
    whole = re.compile("|".join(sorted(used)))
    assert [key for key in ENGLISH if not whole.fullmatch(key)] == []

"""The page of a rule, docs/rules/GLNNN.md: its only long text, and what is quoted from it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Where the pages are: beside the package in a checkout, inside it when installed."""
    inside = _PACKAGE / "docs" / "rules"
    return inside if inside.is_dir() else _PACKAGE.parent / "docs" / "rules"


def page(code: str) -> str:
    """The Markdown of the page of `code`."""
    return folder().joinpath(f"{code}.md").read_text(encoding="utf-8")


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

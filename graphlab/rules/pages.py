"""Reads the page of a rule, docs/rules/GLNNN.md, and the paragraphs that are quoted from it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Where the pages are: beside the package in a checkout, inside it when installed."""
    inside = _PACKAGE / "docs" / "rules"
    return inside if inside.is_dir() else _PACKAGE.parent / "docs" / "rules"


def page(code: str) -> str:
    """The Markdown text of the page of a rule's `code`, such as GL001."""
    return folder().joinpath(f"{code}.md").read_text(encoding="utf-8")


def summary(code: str) -> str:
    """The first paragraph of a rule's page, on one line."""
    paragraphs = page(code).split("\n\n")
    return " ".join(paragraphs[1].split())


def why(code: str) -> str:
    """The first paragraph of the section "Why is this bad", on one line as plain text. A last
    sentence that ends in a colon only introduces a quotation, and is left out."""
    _, _, rest = page(code).partition("\n## Why is this bad\n\n")
    text = " ".join(rest.partition("\n\n")[0].split()).replace("`", "")
    return text.rpartition(". ")[0] + "." if text.endswith(":") else text

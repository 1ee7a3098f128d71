"""Reads the page of a rule, docs/rules/GLNNN.md or its translation, and what is quoted from it."""

from __future__ import annotations

from pathlib import Path

from graphlab.language import current

_PACKAGE = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Where the pages are: beside the package in a checkout, inside it when installed."""
    inside = _PACKAGE / "docs" / "rules"
    return inside if inside.is_dir() else _PACKAGE.parent / "docs" / "rules"


def page(code: str) -> str:
    """The Markdown text of the page of a rule's `code`, such as GL001: in the current language, or
    in English where it is not translated."""
    translated = folder() / current() / f"{code}.md"
    found = translated if translated.is_file() else folder() / f"{code}.md"
    return found.read_text(encoding="utf-8")


def summary(code: str) -> str:
    """The first paragraph of a rule's page, on one line as plain text."""
    _, paragraph, *_ = page(code).split("\n\n")
    return " ".join(paragraph.split()).replace("`", "")


def why(code: str) -> str:
    """The first paragraph of the second section, "Why is this bad", on one line as plain text. A
    last sentence that ends in a colon only introduces a quotation, and is left out."""
    _, paragraph, *_ = page(code).split("\n## ")[2].split("\n\n")
    text = " ".join(paragraph.split()).replace("`", "")
    return text.rpartition(". ")[0] + "." if text.endswith(":") else text

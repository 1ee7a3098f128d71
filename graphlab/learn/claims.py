"""The assertions of an exercise's header, as sentences: how they are read and told."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphlab.errors import UserError
from graphlab.language import catalogue, say
from graphlab.learn.silencers import SILENCERS
from graphlab.text import suggestion

# What stands for a word of a sentence: a dotted name, or several with commas and "and".
_NAME = r"[A-Za-z_][\w.\[\]]*"
_NAMES = rf"{_NAME}(?:, {_NAME})*(?: and {_NAME})?"
_WORDS = {"optimizer": _NAME, "loss": _NAME, "losses": _NAMES, "modules": _NAMES, "name": _NAME,
          "count": r"\d+", "number": r"-?\d+(?:\.\d+)?", "writing": r".+"}  # fmt: skip

_PREFIX = "learn.claim."


@functools.cache
def sentences() -> dict[str, str]:
    """The sentences by their kind, names in braces: those of the English catalogue. `judged.py`
    has a check for each kind."""
    return {
        key.removeprefix(_PREFIX): text
        for key, text in catalogue("en").items()
        if key.startswith(_PREFIX)
    }


def _pattern(sentence: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{m[1]}>{_WORDS[m[1]]})", re.escape(sentence))


@dataclass(frozen=True, slots=True)
class Claim:
    """One assertion: the sentence as it was written, its form, and the words in it."""

    text: str
    kind: str
    words: Mapping[str, str]

    def told(self) -> str:
        """The sentence in the language of the process."""
        return say(f"{_PREFIX}{self.kind}", **self.words)


def claim(text: str, path: Path) -> Claim:
    """Reads a sentence of the header of `path`.

    Raises:
        UserError: for one that is none of the sentences.
    """
    for kind, sentence in sentences().items():
        match = re.fullmatch(_pattern(sentence), text)
        if match is not None and (kind != "unused" or match["writing"] in SILENCERS):
            return Claim(text, kind, match.groupdict())
    near = suggestion(text, [*sentences().values()], "docs/teaching.md lists the sentences")
    raise UserError(f"{path} asserts what cannot be read: {text}", near)

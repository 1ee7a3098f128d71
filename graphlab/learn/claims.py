"""The assertions of an exercise's header, as sentences: how they are read and told."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

from graphlab.errors import UserError
from graphlab.language import catalogue, message, say
from graphlab.learn.silencers import SILENCERS

# What stands for a word of a sentence: a dotted name, or several with commas and "and".
_NAME = r"[A-Za-z_][\w.\[\]]*"
_NAMES = rf"{_NAME}(?:, {_NAME})*(?: and {_NAME})?"
# Each word, as it is matched and as the page shows it.
_WORDS = {
    "optimizer": (_NAME, "OPTIMIZER"),
    "loss": (_NAME, "LOSS"),
    "losses": (_NAMES, "LOSS"),
    "modules": (_NAMES, "MODEL"),
    "name": (_NAME, "NAME"),
    "count": (r"\d+", "10"),
    "number": (r"-?\d+(?:\.\d+)?", "0.1"),
    "writing": (r".+", ".data"),
}

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


def shown() -> list[str]:
    """The sentences as docs/teaching.md lists them."""
    words = {word: shown for word, (_, shown) in _WORDS.items()}
    return [sentence.format(**words) for sentence in sentences().values()]


def _pattern(sentence: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{m[1]}>{_WORDS[m[1]][0]})", re.escape(sentence))


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
    near = _nearest(text)
    lists = message("usage.help.sentences")
    meant = message("usage.help.near", near=f'"{near}"', otherwise=lists)
    raise UserError(message("usage.bad_claim", path=str(path), text=text), meant if near else lists)


def _nearest(text: str) -> str | None:
    """The sentence most of whose own words, the verb among them, are in `text`."""
    given = text.split()

    def fit(sentence: str) -> float:
        own = [word for word in sentence.split() if word.islower()]
        return sum(bool(get_close_matches(word, given, 1, 0.8)) for word in own) / len(own)

    best = max(shown(), key=lambda each: (fit(each), SequenceMatcher(None, text, each).ratio()))
    return best if fit(best) >= 0.5 else None

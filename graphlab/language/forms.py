"""What a brace in a text may ask for: plurals, the words between the items of a list, and the
particles after a Korean name.

``{count:# node|# nodes}`` is the first form for 1 and the second for any other number, with the
number in place of ``#``. ``{names:, | and }`` puts the first between the items of a list and the
second before the last of them. ``{name:을}`` is the name and the particle 을 or 를, whichever its
last sound takes: so are 이/가, 은/는, 과/와, 으로/로, 이라/라, each named by its first form.
"""

from __future__ import annotations

import re
import string
from typing import Any

# After a consonant, and after a vowel.
_PARTICLES = {
    "을": ("을", "를"),
    "이": ("이", "가"),
    "은": ("은", "는"),
    "과": ("과", "와"),
    "으로": ("으로", "로"),
    "이라": ("이라", "라"),
}

# Digits and letters whose Korean names end in a consonant; those in l.
_CONSONANT = set("013678LMNR")
_LIQUID = set("178LR")

# How Koreans end words of the field whose spelling does not tell: 스텝, 웨이트, 로짓 and so on.
_WORDS = {
    **dict.fromkeys(("weight", "state", "unit", "update", "cat", "gate", "dict", "clamp"), ""),
    **dict.fromkeys(("point", "prompt", "mask", "task", "rank", "bank"), ""),
    **dict.fromkeys(("step", "logit", "input", "output", "target", "net", "block", "dropout"), "n"),
    **dict.fromkeys(("hook", "reset", "stack", "group", "map", "set", "init"), "n"),
}

# The endings of English words that Korean writes with a final consonant, and with none. Words that
# end otherwise (step is 스텝, weight is 웨이트) are not told by their spelling.
_ENDS_CONSONANT = re.compile(r"(ng|[lmn]e?)$")
_ENDS_VOWEL = re.compile(r"([aeiouyrdfgsvxzw]|ch|sh|th|ph|[cflnrs]t|s[kp])$")


class Texts(string.Formatter):
    """`str.format` with the forms above."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list) and "|" in format_spec:
            between, last = format_spec.split("|")
            *most, end = value
            return last.join([between.join(most), end]) if most else end
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return (one if value == 1 else many).replace("#", f"{value:,}")
        if format_spec in _PARTICLES:
            return f"{value}{particle(str(value), format_spec)}"
        return super().format_field(value, format_spec)


def particle(name: str, kind: str) -> str:
    """The particle after `name`: `kind` is its form after a consonant, such as ``을``. Where the
    spelling does not tell the sound, both forms, as Korean manuals write them: ``을(를)``,
    ``(으)로``."""
    closed, opened = _PARTICLES[kind]
    # Brackets, quotes and underscores at the end are not read aloud.
    word = re.sub(r"[^0-9A-Za-z가-힣]+$", "", name)
    sound = _sound(word)
    if sound is None:
        return f"({closed[0]}){opened}" if closed[1:] == opened else f"{closed}({opened})"
    if sound == "l" and kind == "으로":
        return opened
    return closed if sound else opened


def _sound(word: str) -> str | None:
    """How a word ends: "" in a vowel, "l" in ㄹ, "n" in another consonant, None if unknown."""
    if not word:
        return None
    last = word[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return {0: "", 8: "l"}.get(final, "n")
    # A letter that stands alone, or the last of an acronym, is read by its name.
    alone = not re.search(r"[A-Za-z][a-z]$|[a-z]$", word) or re.search(r"(^|[^A-Za-z])[a-z]$", word)
    if last.isdigit() or alone:
        letter = last.upper()
        return "l" if letter in _LIQUID else "n" if letter in _CONSONANT else ""
    low = word.lower()
    known = _WORDS.get(re.split(r"[^a-z]", low)[-1])
    if known is not None:
        return known
    if _ENDS_CONSONANT.search(low):
        return "l" if low.endswith(("l", "le")) else "n"
    return "" if _ENDS_VOWEL.search(low) else None

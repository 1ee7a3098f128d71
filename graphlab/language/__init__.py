"""The languages that graphlab speaks: one catalogue each, in which texts are found by a key.

A catalogue is a folder of TOML files; the key ``player.step.applies`` is the entry ``applies`` of
the table ``step`` in ``player.toml``. A text names its arguments in braces, as `str.format` does,
and `graphlab.language.forms` has what a brace may ask for: a plural, or the particle after a Korean
name.
"""

from __future__ import annotations

import functools
import locale
import os
import tomllib
from pathlib import Path
from typing import Any

from graphlab.errors import UserError
from graphlab.language.forms import Texts

#: The languages by code, as each calls itself. English is what a missing choice means.
LANGUAGES = {"en": "English", "ko": "한국어"}

_HERE = Path(__file__).resolve().parent
_TEXTS = Texts()


class Message(str):
    """A text that can be told in every language: as a string it is English, and it knows its key
    and its arguments, some of which may be messages themselves, or lists of them."""

    __slots__ = ("arguments", "key")

    key: str
    arguments: dict[str, Any]


class _Choice:
    """What this process speaks; empty until something asked."""

    language = ""


def choose(language: str | None) -> None:
    """Makes `language`, a code of `LANGUAGES`, what this process speaks; None asks GRAPHLAB_LANG,
    then the locale.

    Raises:
        UserError: when there is no such language.
    """
    if language is None:
        _Choice.language = _from_environment()
    elif language in LANGUAGES:
        _Choice.language = language
    else:
        names = [f"{code} ({name})" for code, name in LANGUAGES.items()]
        raise UserError(
            message("usage.no_language", name=repr(language)),
            message("usage.help.choose", names=names),
        )


def current() -> str:
    """The code of the language that this process speaks."""
    if not _Choice.language:
        choose(None)
    return _Choice.language


def say(key: str, /, **arguments: Any) -> str:
    """The text of `key` in the current language, with its arguments, as `told`, in place."""
    return say_in(current(), key, **{name: _told(value) for name, value in arguments.items()})


def say_in(language: str, key: str, /, **arguments: Any) -> str:
    """The text of `key` in `language`, with its arguments in place.

    Raises:
        KeyError: when the catalogue has no such key, or the text another argument.
    """
    return _TEXTS.format(catalogue(language)[key], **arguments)


def message(key: str, /, **arguments: Any) -> Message:
    """The text of `key` as a `Message`. Raises as `say_in` does."""
    return _message(key, arguments) if arguments else _constant(key)


def key_of(text: str) -> str:
    """The key of a `Message`; "" of another text."""
    return text.key if isinstance(text, Message) else ""


@functools.cache
def _constant(key: str) -> Message:
    return _message(key, {})


def _message(key: str, arguments: dict[str, Any]) -> Message:
    made = Message(say_in("en", key, **arguments))
    made.key, made.arguments = key, arguments
    return made


def told(text: str) -> str:
    """`text` in the current language if it is a `Message`, else as it is."""
    if not isinstance(text, Message) or current() == "en":
        return str(text)
    return say(text.key, **text.arguments)


def _told(argument: Any) -> Any:
    if isinstance(argument, list):
        return [_told(each) for each in argument]
    return told(argument) if isinstance(argument, str) else argument


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """Every text of a language by its key."""
    found: dict[str, str] = {}
    for path in sorted((_HERE / language).glob("*.toml")):
        _flatten(path.stem, tomllib.loads(path.read_text(encoding="utf-8")), found)
    return found


def _flatten(prefix: str, table: dict[str, Any], found: dict[str, str]) -> None:
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, dict):
            _flatten(key, value, found)
        else:
            # A text over several lines ends where its last sentence does.
            found[key] = value.rstrip("\n")


def _from_environment() -> str:
    named = os.environ.get("GRAPHLAB_LANG")
    if named:
        # A variable of the environment must not stop a run: an unknown one means English.
        return named if named in LANGUAGES else "en"
    # The order in which gettext reads them; "C" and "POSIX" name no language.
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            code = locale.normalize(value).partition("_")[0].lower()
            return code if code in LANGUAGES else "en"
    return "en"

"""The keys of the messages in a document, in a table beside the English sentences, so that whoever
reads it can tell them in another language."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from graphlab.language import Message, message


def table(document: Any) -> dict[str, dict[str, Any]]:
    """The key and the arguments of each `Message` among JSON values, by its English text."""
    return {str(each): plain(each) for each in _messages(document)}


def plain(value: Any) -> Any:
    """An argument as a JSON value: a `Message` is an object with its `key` and `arguments`."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, Message):
        return value
    return {"key": value.key, "arguments": {k: plain(v) for k, v in value.arguments.items()}}


def messages_in(document: Mapping[str, Any]) -> dict[str, Message]:
    """The messages of a document's table, by their English texts. The document may come from
    anywhere, or from another release: what does not give that very text is left out."""
    found: dict[str, Message] = {}
    texts = document.get("texts")
    for text, entry in texts.items() if isinstance(texts, dict) else ():
        try:
            made = _made(entry)
        except (
            LookupError,
            TypeError,
            ValueError,
            ArithmeticError,
            AttributeError,
            RecursionError,
        ):
            continue
        if isinstance(made, Message) and made == text:
            found[text] = made
    return found


def keyed(value: Any, messages: Mapping[str, Message]) -> Any:
    """A dataclass, or a tuple or dict of some, with these messages in place of their texts."""
    if isinstance(value, str):
        return messages.get(value, value)
    if isinstance(value, tuple):
        return tuple(keyed(each, messages) for each in value)
    if isinstance(value, dict):
        return {name: keyed(each, messages) for name, each in value.items()}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return dataclasses.replace(value, **{name: keyed(v, messages) for name, v in fields.items()})


def _made(entry: Any) -> Any:
    if isinstance(entry, list):
        return [_made(each) for each in entry]
    if not isinstance(entry, dict):
        return entry
    return message(entry["key"], **{k: _made(v) for k, v in entry["arguments"].items()})


def _messages(value: Any) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _messages(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _messages(each)

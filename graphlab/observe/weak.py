"""What is remembered of objects that are not kept alive for it."""

from __future__ import annotations

import weakref
from typing import Any


class Weak:
    """Values by the identity of objects that may not be hashed or compared. What is dead goes in
    sweeps: a callback of a weak reference could swallow a Ctrl-C."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], Any]] = {}
        self._full = 64

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, key: Any, value: Any) -> None:
        known = self._entries.get(id(key))
        if known is not None and known[0]() is key:
            self._entries[id(key)] = (known[0], value)
            return
        if len(self._entries) >= self._full:
            self._entries = {
                at: each for at, each in self._entries.items() if each[0]() is not None
            }
            self._full = 2 * len(self._entries) + 64
        self._entries[id(key)] = (weakref.ref(key), value)

    def get(self, key: Any) -> Any:
        known = self._entries.get(id(key))
        return known[1] if known is not None and known[0]() is key else None

    def alive(self) -> list[Any]:
        return [key for ref, _ in list(self._entries.values()) if (key := ref()) is not None]

"""What the browser's tests ask of a page."""

from __future__ import annotations

from typing import Any


def step(opened: Any) -> str:
    return opened.locator(".gl-count:visible").inner_text()


def line(opened: Any) -> str:
    return opened.locator(".gl-now:visible code").inner_text().strip()


def press(opened: Any, key: str, times: int = 1) -> None:
    for _ in range(times):
        opened.keyboard.press(key)


def shown(opened: Any, pane: str) -> bool:
    return opened.locator(f".gl-{pane}:visible").count() > 0

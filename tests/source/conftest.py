"""Nothing here needs torch: source goes in as strings, and facts come out."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_torch(without_torch: None) -> None:
    pass

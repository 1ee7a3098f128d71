"""Nothing here needs torch: a Trace goes in, and findings come out."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_torch(without_torch: None) -> None:
    pass

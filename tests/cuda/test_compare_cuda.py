"""graphlab compare on a GPU: the same verdicts as on the CPU, and the memory of the device."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def test_two_loops_side_by_side(cli: Callable[..., Any]) -> None:
    ran = cli("compare", "joint-one-to-one", "detach", "--steps", "8", "--device", "cuda",
              "--json", "-")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["device"] == "cuda"
    mixed, right = found["loops"]
    assert [each["code"] for each in mixed["findings"] if each["severity"] == "warning"] == [
        "GL101"
    ]
    assert min(each["G"]["gradient"]["cosine"] for each in mixed["iterations"][1:]) < -0.9
    for each in right["iterations"]:
        for network in ("D", "G"):
            assert each[network]["gradient"]["relative_error"] < 1e-3
    for loop in (mixed, right):
        assert loop["cuda_peak_bytes"] > loop["saved_bytes"] > 0
        assert loop["seconds"] > 0

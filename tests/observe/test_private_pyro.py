"""The private part of pyro that the names of its parameters rest on."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from graphlab.observe.process_state import stored_parameters


def test_the_store_keeps_its_parameters_by_name() -> None:
    """Lost: `ParamStoreDict._params`, and with it the names of what `pyro.param` makes."""
    pyro = pytest.importorskip("pyro")
    pyro.clear_param_store()
    pyro.param("weight", torch.ones(2))
    try:
        found = list(stored_parameters())
    finally:
        pyro.clear_param_store()
    assert [name for name, _ in found] == ['pyro.param("weight")']
    assert isinstance(found[0][1], torch.Tensor)


@pytest.mark.parametrize("store", [SimpleNamespace(), SimpleNamespace(_params=None), None])
def test_without_it_they_have_no_names(store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pyro.primitives")
    module.__dict__["_PYRO_PARAM_STORE"] = store
    monkeypatch.setitem(sys.modules, "pyro.primitives", module)
    assert list(stored_parameters()) == []

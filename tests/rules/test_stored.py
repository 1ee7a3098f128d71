"""The place where a program asks a library for a parameter that it keeps under a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.rules.stored import store_read
from graphlab.trace.model import Location
from tests.rules.build import Script


@pytest.mark.parametrize(("end", "by"), [(".item()", ".item()"), (".data", ".data"), ("", "")])
def test_a_parameter_of_a_librarys_store_is_told_where_it_is_asked_for(end: str, by: str) -> None:
    source = f"import pyro\n\ndef model():\n    scale = pyro.param('scale', start){end}\n"
    at = Location("model.py", 1, 1, 1, 12, "", "import pyro")
    whole = Script("print(1)").trace()
    trace = replace(whole, sources={"model.py": source + "print(pyro.param('scale').item())\n"})
    found = store_read(trace, at, 'pyro.param("scale")')
    assert found is not None
    assert (found.at.line, found.what) == (4, f'pyro.param("scale"){by}')
    assert store_read(trace, at, 'pyro.param("loc")') is None
    assert store_read(trace, at, "net.weight") is None
    twice = replace(trace, sources={"model.py": source, "guide.py": source})
    assert store_read(twice, at, 'pyro.param("scale")') is None

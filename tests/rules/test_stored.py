"""The place where a program asks a library for a parameter that it keeps under a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.rules.stored import named_twice, store_read
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


def test_two_modules_that_are_given_to_a_library_under_one_name() -> None:
    source = "def model():\n    pyro.module('net', vae.decoder)\n\ndef guide():\n    "
    at = Location("model.py", 1, 1, 1, 12, "", "def model():")
    whole = Script("print(1)").trace()

    def told(last: str, name: str = "vae.encoder.weight") -> tuple[int, str] | None:
        trace = replace(whole, sources={"model.py": source + last})
        found = named_twice(trace, at, name)
        return (found.at.line, found.what) if found is not None and found.at else None

    call = "pyro.module('net', …)"
    assert told("pyro.module('net', vae.encoder)\n") == (5, call)
    assert told("pyro.module('net', vae.encoder)\n", "vae.decoder.weight") == (2, call)
    assert told("pyro.module('net', vae.encoder)\n", "vae.prior.weight") is None
    assert told("pyro.module('other', vae.encoder)\n") is None
    assert told("pyro.module('net', vae.decoder)\n", "vae.decoder.weight") is None


@pytest.mark.parametrize(
    ("uses", "line", "by"),
    [
        ("    obs(scale.item())\n", 5, "scale.item()"),
        ("    obs(scale.item(), scale)\n", 4, 'pyro.param("scale")'),
    ],
)
def test_a_variable_that_only_gives_a_number_is_where_the_graph_ends(
    uses: str, line: int, by: str
) -> None:
    source = f"import pyro\n\ndef model():\n    scale = pyro.param('scale', start)\n{uses}"
    at = Location("model.py", 1, 1, 1, 12, "", "import pyro")
    trace = replace(Script("print(1)").trace(), sources={"model.py": source})
    found = store_read(trace, at, 'pyro.param("scale")')
    assert found is not None
    assert (found.at.line, found.what) == (line, by)

"""An average that takes the place of weights which were kept just before."""

from __future__ import annotations

import ast
import textwrap

import pytest

from graphlab.source.effects.idle.unrestored import SwappedIn, swapped_in


def at_last(body: str, rest: str = "") -> SwappedIn | None:
    """Of the last line of a function with this body, in a file with `rest` after it."""
    source = "def swap(self):\n" + textwrap.indent(textwrap.dedent(body), "    ") + rest
    return swapped_in(ast.parse(source), body.count("\n") + 1)


@pytest.mark.parametrize(
    ("body", "kept", "average"),
    [
        (
            "b = {}\nfor n, p in ps:\n    b[n] = p.clone()\n    p.copy_(self.ema[n])\n",
            "b",
            "self.ema",
        ),
        (
            "for p, s in ps:\n    self.b.append(p.data.clone())\n    p.data = ema[s].data\n",
            "self.b",
            "ema",
        ),
        (
            "self.old = deepcopy(net.state_dict())\nnet.load_state_dict(ema.module.state_dict())\n",
            "self.old",
            "ema",
        ),
    ],
)
def test_weights_that_are_kept_and_overwritten(body: str, kept: str, average: str) -> None:
    found = at_last(body)
    assert found is not None
    assert (found.kept, found.average) == (kept, average)


@pytest.mark.parametrize(
    "body",
    [
        # Lookahead keeps nothing; a rewound ticket is no average; what is kept comes back.
        "for n, p in ps:\n    p.copy_(self.ema[n])\n",
        "self.best = copy.deepcopy(net.state_dict())\nnet.load_state_dict(first)\n",
        "self.shadow = net.clone()\nnet.load_state_dict(self.shadow)\n",
        "for n, p in ps:\n    self.b[n] = p.clone()\n    p.copy_(p + self.ema[n])\n",
        "for n, p in ps:\n    self.b[n] = p\n    p.copy_(self.ema[n])\n",
    ],
)
def test_what_is_no_such_swap(body: str) -> None:
    assert at_last(body) is None


@pytest.mark.parametrize(
    ("mixed", "told"),
    [
        ("self.slow[n].mul_(d).add_(p)", True),
        ("self.slow[n] = d * self.slow[n] + (1 - d) * p", True),
        ("self.slow[n].copy_(p)", False),
    ],
)
def test_an_average_is_known_by_how_it_is_made(mixed: str, told: bool) -> None:
    body = "for n, p in ps:\n    self.b[n] = p.clone()\n    p.copy_(self.slow[n])\n"
    assert (at_last(body, f"def update(self):\n    {mixed}\n") is not None) == told


STORED = """\
ema.store(net.parameters())
ema.copy_to(net.parameters())
other.copy_to(net.parameters())
"""


def test_an_average_that_stores_and_copies_is_told_by_its_methods() -> None:
    tree = ast.parse(STORED)
    found = swapped_in(tree, 2)
    assert found is not None
    assert (found.weights, found.kept, found.average) == ("net.parameters()", "ema", "ema")
    assert swapped_in(tree, 1) is None and swapped_in(tree, 3) is None

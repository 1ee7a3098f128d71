"""What autograd refused: one finding a line, told from what each event says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from graphlab.rules.registry import find
from tests.rules.build import Script, activation, backward, parameter, refused

LOSSES = Script(
    """\
loss = net(x).sum().item()
first.backward()
loss = net(x).detach()
second.backward()
third.backward()
""",
    tensors=(parameter("net.weight"), activation("loss", (3,))),
)


def test_a_cut_is_named_after_a_backward_without_one() -> None:
    """Each finding has a summary of its own: one whose cut is not known takes nothing from the
    next."""
    trace = LOSSES.trace(
        backward(LOSSES.at("first.backward()"), "first", trouble="no-graph"),
        backward(
            LOSSES.at("second.backward()"), "second", trouble="no-graph",
            cut=LOSSES.at("loss = net(x).detach()"), cut_by="net(x).detach()",
        ),
        backward(LOSSES.at("third.backward()"), "third", trouble="no-graph"),
    )  # fmt: skip
    assert [finding.summary for finding in find(trace)] == [
        "no graph leads to first",
        "no graph leads to second: net(x).detach() in line 3 cut it off",
        "no graph leads to third",
    ]


@pytest.mark.parametrize(
    ("trouble", "code", "summary"),
    [
        ("no-graph", "GL005", "no graph leads to loss"),
        (
            "unused-input",
            "GL006",
            "loss.backward() asks for the gradient of net.weight, which loss does not depend on",
        ),
        ("non-scalar", "GL007", "loss has shape [1, 4]; loss.backward() needs a single number"),
    ],
)
def test_the_trouble_says_which(trouble: Any, code: str, summary: str) -> None:
    at = LOSSES.at("first.backward()")
    event = backward(at, trouble=trouble, subject=0, raised="RuntimeError")
    # A line that a loop runs again is told once.
    (finding,) = find(LOSSES.trace(event, backward(at, trouble=trouble, subject=0, iteration=1)))
    assert (finding.code, finding.summary, finding.iteration) == (code, summary, 0)
    assert finding.tensor is not None and finding.tensor.tensor.name == "net.weight"


def test_a_backward_that_raised_for_another_reason_is_nobodys() -> None:
    event = backward(LOSSES.at("first.backward()"), raised="ValueError")
    assert find(LOSSES.trace(event)) == []


WRITES = Script("w += 1\nw.view(-1)[0] = 2\n", tensors=(parameter("w"), activation(None)))


def test_a_leaf_and_a_view_are_two_rules() -> None:
    leaf = refused("leaf", WRITES.at("w += 1"), "w += …")
    view = refused("view", WRITES.at("w.view(-1)[0] = 2"), "w.view(-1)[…] = …", tensor=1)
    found = find(WRITES.trace(leaf, view, leaf))
    assert [(finding.code, finding.failed and finding.failed.what) for finding in found] == [
        ("GL003", "w += …"),
        ("GL004", "w.view(-1)[…] = …"),
    ]
    # What has no name goes by its shape.
    assert "a tensor of shape [4] is a view" in found[1].summary


def test_a_view_whose_base_was_written_names_three_lines() -> None:
    script = Script("a, b = x.unbind()\nx.mul_(2)\ny = a * 3\n", tensors=(activation("a"),))
    event = refused(
        "view", script.at("y = a * 3"), "",
        made=script.at("a, b = x.unbind()"), written=script.at("x.mul_(2)"), written_by="x.mul_()",
    )  # fmt: skip
    (finding,) = find(script.trace(event))
    places = (finding.cause, finding.mutated, finding.failed)
    assert [each and each.at and each.at.line for each in places] == [1, 2, 3]
    assert "x.mul_() wrote to what it is a view of" in finding.summary

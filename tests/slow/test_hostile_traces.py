"""A trace or a graph from anywhere is refused in one sentence, or shown whole and harmless.

    GRAPHLAB_SLOW=1 pytest -n0 tests/slow/test_hostile_traces.py

takes some minutes and prints its counts; without GRAPHLAB_SLOW=1 a few examples are tried.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphlab import catalogue
from graphlab.api.player import film_of, played_run
from graphlab.rules.registry import find
from graphlab.trace import film as films
from graphlab.trace import graph as graphs
from graphlab.trace.report import report
from graphlab.views import console
from graphlab.views.console import Screen
from graphlab.views.figure import layout
from graphlab.views.figure.colors import OVERLAYS
from graphlab.views.figure.picture import LEVELS, FigureOptions, plain_text, source
from graphlab.views.player.page import page
from graphlab.views.terminal import report as terminal

CORPUS = Path(__file__).parents[1] / "corpus"
# Between them every rule's repairs, every kind of event, and films with and without a graph.
SEEDS = (
    "errors/frozen_finetune", "errors/manual_sgd_step", "errors/sigmoid_then_inplace_dropout",
    "errors/multitask_loss_vector", "errors/r1_penalty_freed", "errors/chunk_clamped",
    "errors/lstm_hidden_kept", "silent/head_replaced", "silent/encoder_updated_twice",
    "silent/layers_in_a_list", "silent/running_loss_tensor", "clean/swa_batchnorm",
)  # fmt: skip
SCENARIOS = ("naive", "joint", "detach-as-printed", "detach")

# What a terminal obeys, what no encoding holds, what other programs take for a line's end; and
# what trips up programs that lay text out, parse it, or put it into patterns and formats.
ODD = (
    "", " ", "\x00", "\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\u202eabc", "\u2066x\u2069",
    "\ud800", "\udfff\ud800", "\u2028", "\x85", "\x0c", "\r", "a\nb", "\t\tx", "́", "漢字" * 60,
    "x" * 3000, "{name}", "{0}", "%s", "[bold]x[/bold]", "\\", '"', "<b>&amp;</b>", "]]>",
    "</script>",
    "(", "a.b.c()", "x_", "x = x.add_(1)", "def f(:\n", "x.y" * 400, "(" * 250, "-" * 4000 + "1",
    "torch.no_grad()", "loss", "optimizer.step()", "out=", "[…] = …", "x, through torch.relu",
    "loss.backward()", "graph", "D", "0", "-1", "NaN", "GL001", "/", "..", "a" * 5 + "\x08" * 5,
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 100, 5000, 10**6, 10**12, -(10**12), 2**31, 2**63, 2**64, 2**70, 10**400,
    0.0, -0.0, 0.5, 1.0, 1.0005, -1.0, 1e-320, 1e150, 1e300, 1e308, -1e308,
)  # fmt: skip
OTHERS = (None, True, False, [], {}, [[]], [0], [None], {"event": "Write"}, {"": 0})

UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
STYLE = re.compile("\x1b\\[[0-9;]*m")


@pytest.fixture(scope="module")
def seeds() -> list[dict[str, Any]]:
    """Real traces with their films, as JSON values."""
    from graphlab.observe import program

    found = []
    runs = [(str(CORPUS / f"{name}.py"), []) for name in SEEDS]
    words = ["--steps", "2", "--device", "cpu"]
    runs += [(str(catalogue.scenario(name).path), words) for name in SCENARIOS]
    for path, arguments in runs:
        sessions: list[Any] = []

        def started(session: Any, kept: list[Any] = sessions) -> None:
            session.keep_film()
            kept.append(session)

        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            ran = program.run(program.script(path), arguments, path, started)
        film = film_of(sessions[0], ran.trace, find(ran.trace))
        found.append(json.loads(films.dumps(ran.trace, film)))
    return found


def damaged(document: dict[str, Any], random: Random) -> dict[str, Any]:
    """A copy in which some values are gone, others, or elsewhere."""
    found = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6, 12))):
        holder, key = _place(found, random)
        _damage(found, holder, key, random)
    return found


def _place(document: dict[str, Any], random: Random) -> tuple[Any, Any]:
    """Some value's container and its key in it; a long list hides no short one behind it."""
    holder: Any = document
    while True:
        key = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        value = holder[key]
        if not isinstance(value, dict | list) or not value or random.random() < 0.15:
            return holder, key
        holder = value


def _damage(document: dict[str, Any], holder: Any, key: Any, random: Random) -> None:
    value = holder[key]
    kind = random.randrange(9)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(value, list) and value:
        value[:] = random.choice((value[:1], value[1:], value[::-1], value * 2, value[:-1]))
    elif kind == 2 and isinstance(value, str) and value:
        at = random.randrange(len(value))
        holder[key] = value[:at] + random.choice(ODD) + value[at:]
    elif kind == 3:
        other, place = _place(document, random)
        holder[key] = copy.deepcopy(other[place])
    elif kind == 4:
        holder[key] = copy.deepcopy(random.choice(OTHERS))
    elif isinstance(value, str):
        holder[key] = random.choice(ODD)
    elif isinstance(value, int | float) and random.random() < 0.8:
        holder[key] = random.choice(NUMBERS) if random.random() < 0.6 else random.randrange(-2, 40)
    else:
        holder[key] = copy.deepcopy(random.choice((*ODD, *NUMBERS, *OTHERS)))


def harmless(text: str) -> None:
    found = UNSAFE.search(text)
    assert found is None, ascii(text[max(0, found.start() - 60) : found.end() + 20])
    assert text.encode()


def shown(text: str) -> str:
    """The whole road of a saved trace: what became of it, in a word."""
    try:
        trace, film = films.loads_both(text)
    except ValueError as error:
        assert 0 < len(str(error)) < 600
        assert str(error).isprintable()
        return "refused"
    findings = find(trace)
    for parts in (terminal.short(trace, findings), terminal.full(trace, findings, [])):
        for width in (80, 30):
            harmless(console.text(parts, width=width))
        colours = io.StringIO()
        console.emit(Screen(file=colours, width=80, force_terminal=True, color_system="256"), parts)
        harmless(STYLE.sub("", colours.getvalue()))
    again = json.dumps(report(trace, findings), allow_nan=False)
    assert again.isascii()
    assert films.loads_both(films.dumps(trace, film)) == (trace, film)
    if film is None:
        return "shown"
    harmless(page([played_run(trace, film, findings)], quiz=True).replace("\t", ""))
    return "played"


def drawn(text: str) -> str:
    """The whole road of a saved graph, but for its layout."""
    try:
        graph = graphs.loads(text)
    except ValueError as error:
        assert 0 < len(str(error)) < 600
        assert str(error).isprintable()
        return "refused"
    for at, level in enumerate(LEVELS):
        look = FigureOptions(level, OVERLAYS[(len(graph) + at) % len(OVERLAYS)], title="t")
        harmless(plain_text(graph, look))
        harmless(source(graph, look).replace("\t", ""))
    assert graphs.loads(graphs.dumps(graph)) == graph
    return "drawn"


@pytest.fixture
def no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphviz takes most of the time, and lays out DOT text that was looked at before."""

    def lay_out(tries: Any, form: str, timeout: float = 20.0) -> layout.LayoutResult:
        for make in tries:
            harmless(make().replace("\t", ""))
        return layout.LayoutResult(None, len(tries), 0.0)

    monkeypatch.setattr(layout, "lay_out", lay_out)


def tried(count: int, seeds: list[dict[str, Any]]) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=count, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, len(seeds) - 1), st.integers(0, 2**32))
    def attempt(at: int, number: int) -> None:
        random = Random(number)
        trace = damaged(seeds[at], random)
        outcomes[shown(json.dumps(trace))] += 1
        graph = (seeds[at].get("film") or {}).get("graph")
        if graph is not None:
            outcomes[f"graph {drawn(json.dumps(damaged(graph, random)))}"] += 1

    attempt()
    return outcomes


def test_a_few_damaged_traces(seeds: list[dict[str, Any]], no_layout: None) -> None:
    outcomes = tried(40, seeds)
    assert outcomes["refused"] and outcomes["played"]


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("GRAPHLAB_SLOW") != "1", reason="GRAPHLAB_SLOW=1 runs it")
def test_thousands_of_damaged_traces(
    seeds: list[dict[str, Any]], no_layout: None, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = tried(4000, seeds)
    with capsys.disabled():
        print(f"\n{sum(outcomes.values())} damaged traces and graphs")
        for outcome, count in sorted(outcomes.items()):
            print(f"  {outcome}: {count}")
    assert outcomes["refused"] > 500 and outcomes["played"] > 500
    assert outcomes["graph refused"] > 500 and outcomes["graph drawn"] > 500

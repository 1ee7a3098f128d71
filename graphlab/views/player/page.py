"""Renders the player as a self-contained HTML fragment or page.

It loads nothing from the network. The script inserts all text by `textContent`, from JSON in a
script element in which every ``<`` is escaped.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

from graphlab.language import catalogue, current, say, told
from graphlab.text import visible_values
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, Trace
from graphlab.views.figure.words import clean
from graphlab.views.player.compare import difference, pairs
from graphlab.views.player.data import data
from graphlab.views.player.figure import DrawnLevel, dark_colors, figures
from graphlab.views.player.order import marks
from graphlab.views.player.texts.changes import changes
from graphlab.views.player.texts.quiz import questions

# The parts of the script, each after those that it uses.
SCRIPT = (
    "tools", "controls", "saved", "source", "tensors", "cause", "graph", "account", "quiz",
    "player", "both", "help", "page",
)  # fmt: skip
STYLE = ("base", "panes", "cards", "layout")
# The texts of the script are those of this table of the catalogue.
TEXTS = "player.page."


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What the player needs of a recorded run. `whys` has a text for each rule's code: why what it
    finds is bad."""

    trace: Trace
    film: Film
    findings: tuple[Finding, ...] = ()
    whys: Mapping[str, str] = field(default_factory=dict)


def fragment(
    plays: Sequence[RecordedRun],
    *,
    uid: str = "",
    quiz: bool = False,
    whole_page: bool = False,
    timeout: float = 20.0,
) -> str:
    """A self-contained HTML fragment that plays one or several runs, one at a time.

    uid: prefix of all ids in it; random if empty, so that a page can have several players.
    whole_page: it is alone on its page, so it handles all keys and keeps its step in the address.
    timeout: seconds for the layout of each graph.
    """
    uid = uid or f"gl{secrets.token_hex(4)}"
    parts, contents, titles = [], [], _titles(plays)
    for at, play in enumerate(plays):
        order = marks(play.film.events, play.film.optimizers)
        drawn, problem = figures(play.film.graph, f"{uid}-{at}", timeout, order)
        content = _page_data(play, drawn, problem or _why_none(play.film), quiz)
        content["title"] = titles[at]
        content["others"] = [
            {
                "run": index,
                "title": titles[index],
                "diff": difference(play.film, other.film),
                "changes": changes(play, other),
            }
            for index, other in enumerate(plays)
            if index != at
        ]
        contents.append(content)
        parts.append(_section(at, uid, contents[-1]["title"], drawn))
    shared = {
        "texts": {
            key.removeprefix(TEXTS): text
            for key, text in catalogue(current()).items()
            if key.startswith(TEXTS)
        },
        "pairs": pairs(plays[0].film, plays[1].film) if len(plays) > 1 else [],
        "plays": contents,
    }
    text = json.dumps(visible_values(shared), ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")
    style = "".join(_read(f"style/{name}.css") for name in STYLE)
    style = style.replace("/* dark figure */", dark_colors())
    return (
        f'<div class="gl-player" id="{uid}" lang="{current()}" data-page="{int(whole_page)}">\n'
        f"<style>\n{style}</style>\n{''.join(parts)}"
        f'<script type="application/json" class="gl-data">{text}</script>\n'
        f"<script>\n{_script()}</script>\n</div>\n"
    )


def _titles(plays: Sequence[RecordedRun]) -> list[str]:
    """The runs' names, made unique."""
    names = [told(play.trace.target) for play in plays]
    return [
        f"{name} ({names[:at].count(name) + 1})" if names.count(name) > 1 else name
        for at, name in enumerate(names)
    ]


def page(plays: Sequence[RecordedRun], *, quiz: bool = False, timeout: float = 20.0) -> str:
    """A whole HTML document."""
    names = " / ".join(clean(told(play.trace.target)) for play in plays)
    title = say("player.page.title", names=names)
    player = fragment(plays, uid="gl", quiz=quiz, whole_page=True, timeout=timeout)
    return (
        f'<!doctype html>\n<html lang="{current()}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>body {{ margin: 0; }}</style>\n</head>\n<body>\n{player}</body>\n</html>\n"
    )


def _page_data(
    play: RecordedRun, drawn: list[DrawnLevel], problem: str, quiz: bool
) -> dict[str, Any]:
    """The data of one run, with graph nodes replaced by the boxes that draw them."""
    content = data(play.trace, play.film, play.findings, play.whys)
    content["problem"] = problem
    row = content["watched"]
    name = content["tensors"][row]["name"] if row is not None else None
    holder = content.pop("failing_at")
    asked = questions(play.trace, play.film, play.findings, name, holder) if quiz else []
    # Of two questions before one step, the script's own comes first.
    content["quiz"] = sorted(content.pop("asked") + asked, key=lambda each: each["step"])
    content["born"] = [{} for _ in drawn]
    for at, step in enumerate(content["steps"]):
        made, nodes, optimizers = step.pop("made"), step.pop("nodes"), step.pop("optimizers")
        step["lit"] = []
        for born, each in zip(content["born"], drawn, strict=True):
            for node in made:
                for box in each.home.get(node, ()):
                    born.setdefault(box, at)
            lit = dict.fromkeys(box for node in nodes for box in each.home.get(node, ()))
            lit.update(
                dict.fromkeys(each.optimizers[n] for n in optimizers if n in each.optimizers)
            )
            step["lit"].append(list(lit))
    for saved in content["saved"]:
        node = saved.pop("node")
        saved["boxes"] = [each.home.get(node, (None,))[0] for each in drawn]
    reached = content.pop("reached")
    content["odd"] = [{} for _ in drawn]
    for step, node, badge in reached:
        for odd, each in zip(content["odd"], drawn, strict=True):
            for box in each.home.get(node, ()):
                odd.setdefault(box, [step, badge])
    content["levels"] = [each.level for each in drawn]
    content["failing"] = [each.failing for each in drawn]
    return content


def _why_none(film: Film) -> str:
    if film.graph is not None:
        return ""
    if any(isinstance(event, Backward) for event in film.events):
        return say("player.graph.not_kept")
    return say("player.graph.no_backward")


def _section(at: int, uid: str, title: str, drawn: list[DrawnLevel]) -> str:
    pictures = "".join(
        f'<div class="gl-figure" data-level="{each.level}">{each.svg}</div>' for each in drawn
    )
    name = escape(clean(title))
    return (
        f'<section class="gl-play" id="{uid}-play{at}" aria-label="{name}">'
        f"{pictures}<p>{escape(say('player.page.no_script'))}</p></section>\n"
    )


def _script() -> str:
    """The script as one function, so that two players on a page share no variables."""
    parts = "\n".join(_read(f"script/{name}.js") for name in SCRIPT)
    return f'(function (root) {{\n"use strict";\n{parts}}})(document.currentScript.parentNode);\n'


def _read(name: str) -> str:
    return (files("graphlab.views.player") / name).read_text(encoding="utf-8")

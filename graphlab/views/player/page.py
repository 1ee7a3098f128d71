"""The player as HTML: one fragment with its data, its style and its script, or a page of it.

Nothing is fetched from anywhere. All text comes from the data by `textContent`; the data stands in
a script element of type application/json, in which no ``<`` is left.
"""

from __future__ import annotations

import ast
import difflib
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

from graphlab.text import everywhere, lines_of
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, Trace
from graphlab.views.figure.words import clean
from graphlab.views.player.data import data
from graphlab.views.player.figure import Drawn, dark_colors, figures
from graphlab.views.player.quiz import questions

# The parts of the script, in the order in which they need each other.
SCRIPT = ("tools", "saved", "source", "graph", "account", "quiz", "player", "page")


@dataclass(frozen=True, slots=True)
class PlayedRun:
    """A recorded run: what the player needs of it. `whys` says for a rule's code why what it finds
    is bad."""

    trace: Trace
    film: Film
    findings: tuple[Finding, ...] = ()
    whys: Mapping[str, str] = field(default_factory=dict)


def fragment(
    plays: Sequence[PlayedRun],
    *,
    uid: str = "",
    quiz: bool = False,
    whole_page: bool = False,
    timeout: float = 20.0,
) -> str:
    """One self-contained piece of HTML that plays a run, or one of several at a time.

    `uid` begins every id in it, and is made up where it is empty, so that two fit one page.
    On a `whole_page` of its own, it also listens to keys outside itself and keeps its step in the
    address. `timeout` is in seconds, for the layout of each graph.
    """
    uid = uid or f"gl{secrets.token_hex(4)}"
    parts, shown, titles = [], [], _titles(plays)
    for at, play in enumerate(plays):
        drawn, problem = figures(play.film.graph, f"{uid}-{at}", timeout)
        told = _told(play, drawn, problem or _why_none(play.film), quiz)
        told["title"] = titles[at]
        told["others"] = [
            {"run": index, "title": titles[index], "diff": difference(play.film, other.film)}
            for index, other in enumerate(plays)
            if index != at
        ]
        shown.append(told)
        parts.append(_section(at, uid, shown[-1]["title"], drawn))
    text = json.dumps(everywhere(shown), ensure_ascii=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")
    style = _read("player.css").replace("/* dark figure */", dark_colors())
    return (
        f'<div class="gl-player" id="{uid}" data-page="{int(whole_page)}">\n'
        f"<style>\n{style}</style>\n{''.join(parts)}"
        f'<script type="application/json" class="gl-data">{text}</script>\n'
        f"<script>\n{_script()}</script>\n</div>\n"
    )


def _titles(plays: Sequence[PlayedRun]) -> list[str]:
    """The runs' names, of which no two are the same."""
    names = [play.trace.target for play in plays]
    return [
        f"{name} ({names[:at].count(name) + 1})" if names.count(name) > 1 else name
        for at, name in enumerate(names)
    ]


def page(plays: Sequence[PlayedRun], *, quiz: bool = False, timeout: float = 20.0) -> str:
    """A whole HTML document."""
    title = " and ".join(clean(play.trace.target) for play in plays)
    shown = fragment(plays, uid="gl", quiz=quiz, whole_page=True, timeout=timeout)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}, step by step</title>\n"
        f"<style>body {{ margin: 0; }}</style>\n</head>\n<body>\n{shown}</body>\n</html>\n"
    )


def _told(play: PlayedRun, drawn: list[Drawn], problem: str, quiz: bool) -> dict[str, Any]:
    """The data, with boxes in the place of nodes: the page knows nothing of the graph."""
    told = data(play.trace, play.film, play.findings, play.whys)
    told["problem"] = problem
    told["quiz"] = questions(play.trace, play.film) if quiz else []
    told["born"] = [{} for _ in drawn]
    for at, step in enumerate(told["steps"]):
        made, nodes, optimizers = step.pop("made"), step.pop("nodes"), step.pop("optimizers")
        step["lit"] = []
        for born, each in zip(told["born"], drawn, strict=True):
            for node in made:
                for box in each.home.get(node, ()):
                    born.setdefault(box, at)
            lit = dict.fromkeys(box for node in nodes for box in each.home.get(node, ()))
            lit.update(
                dict.fromkeys(each.optimizers[n] for n in optimizers if n in each.optimizers)
            )
            step["lit"].append(list(lit))
    for saved in told["saved"]:
        node = saved.pop("node")
        saved["boxes"] = [each.home.get(node, (None,))[0] for each in drawn]
    told["levels"] = [each.level for each in drawn]
    return told


def _why_none(film: Film) -> str:
    if film.graph is not None:
        return ""
    if any(isinstance(event, Backward) for event in film.events):
        return "The graph of this iteration was not kept, so there is no graph to draw."
    return "No backward ran in what plays here, so there is no graph to draw."


def _section(at: int, uid: str, title: str, drawn: list[Drawn]) -> str:
    pictures = "".join(
        f'<div class="gl-figure" data-level="{each.level}">{each.svg}</div>' for each in drawn
    )
    name = escape(clean(title))
    return (
        f'<section class="gl-play" id="{uid}-play{at}" aria-label="{name}">'
        f"{pictures}<p>The player needs JavaScript.</p></section>\n"
    )


def _script() -> str:
    """The parts of the script as one function, so that two players on a page share nothing."""
    parts = "\n".join(_read(f"script/{name}.js") for name in SCRIPT)
    return f'(function (root) {{\n"use strict";\n{parts}}})(document.currentScript.parentNode);\n'


def _read(name: str) -> str:
    return (files("graphlab.views.player") / name).read_text(encoding="utf-8")


# Lines kept around each change.
AROUND = 2


def difference(one: Film, other: Film) -> list[list[str]]:
    """(sign, line) from the program of `one` to that of `other`; ⋮ stands where lines are left
    out. Empty where the programs are the same."""
    found: list[list[str]] = []
    for line in difflib.unified_diff(_lines(one), _lines(other), n=AROUND, lineterm=""):
        if line.startswith("@@"):
            if found:
                found.append(["⋮", ""])
        elif not line.startswith(("---", "+++")):
            found.append([line[:1], line[1:]])
    indents = [len(text) - len(text.lstrip()) for _, text in found if text.strip()]
    return [[sign, text[min(indents, default=0) :]] for sign, text in found]


def _lines(film: Film) -> list[str]:
    """The file in which most of the film plays."""
    played = Counter(moment.at.file for moment in film.moments)
    text = film.sources.get(played.most_common(1)[0][0], "") if played else ""
    lines = lines_of(text)
    try:
        first = next(iter(ast.parse(text).body), None)
    except (SyntaxError, ValueError):
        return lines
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return lines[first.end_lineno :]
    return lines

"""graphlab render: the autograd graph of a program as a figure."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphlab.api.figure import written
from graphlab.api.player import film_of, moment_of, played_run
from graphlab.catalogue import read_source
from graphlab.commands.drawing import frames
from graphlab.commands.drawing.choice import Choice, check, check_figure, check_player, destination
from graphlab.commands.player import no_film, saved_run
from graphlab.commands.recording import Recorded, check_named, record
from graphlab.commands.saved import is_trace
from graphlab.errors import UserError
from graphlab.language import message, say, told
from graphlab.language.lists import suggestion
from graphlab.output import files, streams
from graphlab.trace.graph import Graph, Root, loads, under
from graphlab.trace.model import Backward, Event, Step

if TYPE_CHECKING:
    from graphlab.api.player import RecordedRun
    from graphlab.observe.film.snapshots import Snapshot, Snapshots
    from graphlab.observe.observation import Observation
    from graphlab.trace.finding import Finding
    from graphlab.views.figure.picture import FigureOptions

DEFAULT = "naive"
# The width at which a caption is folded, in characters.
CAPTION = 100


def render(
    target: str | None, arguments: list[str], choice: Choice, is_module: bool = False
) -> int:
    """Run `target`, or open a saved graph, and write the figure. Returns the exit code: 0 once
    there is a figure, however the program ended."""
    target = DEFAULT if target is None else target
    check_named(target)
    name = Path(target).stem if os.sep in target or "." in target else target
    saved = target.endswith(".json") and not is_module
    if frames.wanted(choice):
        check_player(choice, saved, message("usage.draw.film"), theme=True)
        check(choice)
        frames.check(choice)
        frames.write(_recorded(target, arguments, choice, is_module), choice)
        return 0
    form, path = destination(name, choice)
    if form == "html":
        check_player(choice, saved)
    else:
        check_figure(choice, form, saved)
    check(choice)
    if saved:
        _takes_none(target, arguments)
    place = files.check(path, choice.force)
    if form == "html":
        assert path is not None and place is not None
        from graphlab.api.player import Player

        shown = _recorded(target, arguments, choice, is_module)
        files.write(place, Player([shown], timeout=choice.timeout).html, choice.force)
        if path != "-":
            streams.line(path, streams.out())
        return 0
    drawn = _opened(target, choice) if saved else _taken(target, arguments, choice, is_module)
    graph = drawn.graph
    look = _look(choice, _title(name, graph, choice), drawn)
    _show(graph, look, drawn.made_dot, form, path, choice)
    return 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is to be drawn: a graph, or what torchviz made of it; the finding that it shows; and the
    events of its iteration, with the optimizers' names."""

    graph: Graph
    made_dot: str | None = None
    finding: Finding | None = None
    events: Sequence[Event] = ()
    optimizers: Sequence[str] = ()


def _takes_none(target: str, arguments: list[str]) -> None:
    if arguments:
        raise UserError(
            message("usage.draw.takes_none", path=target, word=arguments[0]),
            message("usage.help.remove", word=arguments[0]),
        )


def _recorded(target: str, arguments: list[str], choice: Choice, is_module: bool) -> RecordedRun:
    """The run of a program, or the one that a trace's file holds."""
    if target.endswith(".json") and not is_module:
        _takes_none(target, arguments)
        return saved_run(target)
    return _played(target, arguments, choice, is_module)


def _opened(path: str, choice: Choice) -> Drawn:
    text = read_source(path)
    try:
        if is_trace(text):
            run = saved_run(path)
            if run.film.graph is None:
                raise UserError(
                    message("usage.draw.trace_without", path=path),
                    message("usage.help.make_trace"),
                )
            found = next((each for each in run.findings if each.severity != "info"), None)
            drawn = Drawn(run.film.graph, None, found, run.film.events, run.film.optimizers)
        else:
            drawn = Drawn(loads(text.decode()))
    except UnicodeDecodeError as error:
        raise _no_graph(path, message("usage.draw.not_utf8", place=error.start)) from None
    except ValueError as error:
        raise _no_graph(path, str(error)) from None
    if not all(_roots(drawn.graph, each) for each in choice.loss):
        raise _no_loss(drawn.graph, choice)
    return replace(drawn, graph=_only(drawn.graph, choice.loss))


def _no_graph(path: str, why: str) -> UserError:
    return UserError(
        message("usage.draw.not_a_graph", path=path, why=why), message("usage.draw.save_graph")
    )


def _run(target: str, arguments: list[str], choice: Choice, is_module: bool) -> Recorded:
    """Run the program. Its own output goes to stderr, for the figure may go to stdout."""

    def prepare(observation: Observation) -> None:
        if frames.wanted(choice) or destination("", choice)[0] == "html":
            observation.keep_film(choice.at, choice.before)
        else:
            also = _torchviz if choice.style == "torchviz" else None
            observation.keep_graphs(choice.at, choice.before, also)

    with contextlib.redirect_stdout(sys.stderr):
        recorded = record(target, arguments, prepare, is_module=is_module, last=choice.last)
    ran = recorded.ran
    if ran.exit_code == 2 and not any(o.steps for o in ran.trace.optimizers):
        raise UserError(
            message("usage.draw.refused", name=recorded.name), message("usage.draw.its_message")
        )
    return recorded


def _played(target: str, arguments: list[str], choice: Choice, is_module: bool) -> RecordedRun:
    recorded = _run(target, arguments, choice, is_module)
    session, ran = recorded.observation, recorded.ran
    snapshots: Snapshots = session.snapshots
    snapshots.close()
    if not snapshots.taken and (choice.at is not None or choice.before is not None):
        raise _no_moment(snapshots, choice)
    from graphlab.rules.registry import find

    findings = find(ran.trace)
    film = film_of(session, ran.trace, findings)
    if film is None:
        raise no_film(ran.trace)
    return played_run(ran.trace, film, findings)


def _taken(target: str, arguments: list[str], choice: Choice, is_module: bool) -> Drawn:
    """Run the program and choose the moment."""
    from graphlab.rules.registry import find

    recorded = _run(target, arguments, choice, is_module)
    session, ran = recorded.observation, recorded.ran
    findings = [each for each in find(ran.trace) if each.severity != "info"]
    snapshots: Snapshots = session.snapshots
    snapshots.close()
    for line in ran.trace.unseen:
        streams.line(f"{say('report.notice')} {told(line)}", streams.err())
    snapshot, finding = _moment(snapshots, findings, choice)
    wanted = [each for each in choice.loss if snapshot is None or not _roots(snapshot.graph, each)]
    if snapshot is None or wanted:
        snapshots.final(ran.variables, set(wanted))
        if not snapshots.taken or (wanted and snapshots.taken[-1].calls):
            raise _nothing(snapshot, snapshots, choice)
        snapshot, finding = snapshots.taken[-1], None
    if isinstance(snapshot.also, UserError):
        raise snapshot.also
    trace, here = ran.trace, snapshot.graph.iteration
    return Drawn(
        _only(snapshot.graph, choice.loss),
        snapshot.also,
        finding,
        [
            each
            for each in trace.events
            if isinstance(each, Backward | Step) and each.iteration == here
        ],
        [each.name for each in trace.optimizers],
    )


def _moment(
    snapshots: Snapshots, findings: list[Finding], choice: Choice
) -> tuple[Snapshot | None, Finding | None]:
    """The moment asked for; else that of the first finding; else the first iteration that has
    every loss of the loop."""
    taken = snapshots.taken
    first = findings[0] if findings else None
    if choice.at is not None or choice.before is not None:
        if not taken:
            raise _no_moment(snapshots, choice)
        shown = first if first is not None and first.iteration in taken[0].iterations else None
        return taken[0], shown
    return moment_of(taken, findings)


def _no_moment(snapshots: Snapshots, choice: Choice) -> UserError:
    known = list(snapshots.calls)
    if choice.before is not None and choice.before not in known:
        calls = message("usage.draw.calls", names=known)
        hint = calls if known else message("usage.draw.no_backward")
        return UserError(
            message("usage.draw.no_call", call=choice.before),
            suggestion(choice.before, known, hint),
        )
    return UserError(
        message("usage.draw.no_backward_in", iteration=choice.at), message("usage.draw.from_zero")
    )


def _nothing(snapshot: Snapshot | None, snapshots: Snapshots, choice: Choice) -> UserError:
    if choice.loss and snapshot is not None:
        return _no_loss(snapshot.graph, choice)
    return UserError(message("usage.draw.nothing"), message("usage.draw.name_loss"))


def _no_loss(graph: Graph, choice: Choice) -> UserError:
    names = [root.name for root in graph.roots] + list(graph.variables.values())
    missing = next(each for each in choice.loss if not _roots(graph, each))
    return UserError(
        message("usage.draw.no_loss", name=missing),
        suggestion(missing, names, message("usage.draw.losses", names=[*dict.fromkeys(names)])),
    )


def _roots(graph: Graph, name: str) -> tuple[Root, ...]:
    """The losses of that name, or the variable as if it were one."""
    found = tuple(root for root in graph.roots if root.name == name)
    if found:
        return found
    nodes = [node for node, each in graph.variables.items() if each == name]
    return tuple(Root(name, node) for node in nodes)


def _only(graph: Graph, losses: tuple[str, ...]) -> Graph:
    if not losses:
        return graph
    return under(graph, tuple(root for name in losses for root in _roots(graph, name)))


def _title(name: str, graph: Graph, choice: Choice) -> str:
    words = [name]
    if graph.iteration is not None:
        words.append(f"iteration {graph.iteration}")
    last = next((root for root in reversed(graph.roots) if root.call), None)
    if last is not None and not last.raised and choice.before is not None:
        words.append(f"before {last.call}")
    return ", ".join(words)


def _look(choice: Choice, title: str, drawn: Drawn) -> FigureOptions:
    from graphlab.views.figure.picture import FigureOptions
    from graphlab.views.player.order import marks

    finding = drawn.finding
    caption = f"{finding.code}: {told(finding.summary)}" if finding is not None else ""
    return FigureOptions(
        choice.level,  # pyright: ignore[reportArgumentType]
        choice.color,  # pyright: ignore[reportArgumentType]
        choice.theme,  # pyright: ignore[reportArgumentType]
        choice.depth,
        title,
        "\n".join(textwrap.wrap(caption, CAPTION)),
        marks(drawn.events, drawn.optimizers),
    )


def _show(
    graph: Graph,
    look: FigureOptions,
    made_dot: str | None,
    form: str,
    path: str | None,
    choice: Choice,
) -> None:
    from graphlab.views import console
    from graphlab.views.figure.layout import LayoutError
    from graphlab.views.figure.picture import picture, plain_text, render_dot, text

    screen = console.stdout()
    if form == "text":
        if path in (None, "-"):
            console.emit(screen, text(graph, look))
        else:
            assert path is not None
            files.write(path, plain_text(graph, look), choice.force)
            streams.line(path, streams.out())
        return
    assert path is not None
    try:
        if made_dot is not None and form != "json":
            made = render_dot(made_dot, form, look.title, choice.timeout)
        else:
            made = picture(graph, look, form, choice.timeout)
    except LayoutError as error:
        raise UserError(
            message("usage.draw.layout", why=str(error)), message("usage.draw.write_dot")
        ) from None
    done = written(path, form, made, choice.force)
    if made.notice:
        streams.line(f"{say('report.notice')} {told(made.notice)}", streams.err())
    if path != "-":
        if screen.is_terminal and choice.output is None:
            console.emit(screen, text(graph, replace(look, level="overview")))
        streams.line(done, streams.out())


def _torchviz(loss: Any, parameters: dict[str, Any]) -> str | UserError:
    """What torchviz makes of the same loss and parameters, or why it cannot."""
    try:
        import torchviz
    except ImportError as error:
        install = "pip install torchviz setuptools"
        return UserError(message("usage.draw.no_torchviz", why=str(error)), install)
    try:
        return torchviz.make_dot(loss, parameters).source
    except RecursionError:
        return UserError(
            message("usage.draw.too_deep"), message("usage.help.remove", word="--style torchviz")
        )

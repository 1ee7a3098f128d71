"""Records the Traces that tests/rules and tests/views read, and cuts them down.

    python -m tests.rules.make_traces [NAME ...]

from the top of the checkout, with torch; without a NAME it makes all that cases.py lists, the films
included. Run it again when the observer learns to say something new, and read the difference.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import multiprocessing
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphlab.rules.registry import find
from graphlab.trace import film as films
from graphlab.trace import store
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, Event, Module, Saved, Trace, Write
from tests.rules.cases import ALL, FILMED, FILMS, TRACES, Case

ROOT = Path(__file__).resolve().parents[2]
# What is silent after one iteration may only not have come to it yet.
ITERATIONS = 2


def main(names: list[str]) -> None:
    import torch  # noqa: F401  once, for all the processes below

    wanted = [case for case in (*ALL, *FILMED) if not names or case.name in names]
    # A process each: autograd's sequence numbers go on from one run to the next.
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for line in pool.imap(make, wanted):
            print(line)


def make(case: Case) -> str:
    """Write the case's file; returns its size and name."""
    trace, film = recorded(case)
    is_filmed = case in FILMED
    text = written(smallest(trace), film if is_filmed else None)
    path = (FILMS if is_filmed else TRACES) / f"{case.name}.json"
    path.write_text(text, encoding="utf-8")
    return f"{len(text.encode()):6}  {path.stem}"


def recorded(case: Case) -> tuple[Trace, Film | None]:
    """The Trace and the film of a run of the case's script, under a name that is the same on any
    machine."""
    from graphlab.api.player import film_of
    from graphlab.observe import program
    from graphlab.observe.observation import Observation

    sessions: list[Observation] = []

    def started(session: Observation) -> None:
        sessions.append(session)
        session.keep_film()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder).resolve() / f"{case.name}.py"
        path.write_text(source(case), encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            ran = program.run(program.script(str(path)), list(case.arguments), case.name, started)
        assert ran.trace.unseen == ()
        film = film_of(sessions[0], ran.trace, find(ran.trace))
        text = films.dumps(ran.trace, film).replace(str(path), path.name)
    return store.loads(text), films.loads(text)


def source(case: Case) -> str:
    """A script, or the example of a rule's page: ``docs/rules/GL108.md#Example``."""
    path, _, section = case.script.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8")
    if not section:
        return text
    found = re.search(rf"^## {section}\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def smallest(trace: Trace) -> Trace:
    """The first iterations of a Trace, as many as it takes for the rules to say all they do."""
    whole = said(trace)
    for count in range(ITERATIONS, trace.iterations + 1):
        found = cut(trace, count)
        if said(found) == whole:
            return found
    found = cut(trace, trace.iterations + 1)
    assert said(found) == whole
    return found


def said(trace: Trace) -> list[Finding]:
    return [replace(each, iteration=None) for each in find(trace)]


def cut(trace: Trace, iterations: int) -> Trace:
    """Without what came later and what fills pages: the calls of modules, what their constructors
    write, all but one of the writes of a line that no saved tensor is about, all but one of the
    freed tensors that a line saved, and the ledger of each single parameter."""
    named = {
        saved.write
        for event in trace.events
        if isinstance(event, Backward)
        for saved in event.problems
    }
    kept: list[Event] = []
    moved: dict[int | None, int | None] = {None: None}
    writers = set()
    for at, event in enumerate(trace.events):
        iteration = getattr(event, "iteration", None)
        if iteration is not None and iteration >= iterations:
            break
        if isinstance(event, Module):
            continue
        if isinstance(event, Write) and at not in named:
            if (event.at, event.by) in writers or event.by.startswith("nn."):
                continue
            writers.add((event.at, event.by))
        moved[at] = len(kept)
        kept.append(event)
    events = tuple(_renumbered(each, moved) for each in kept)
    optimizers = tuple(replace(each, by_parameter=()) for each in trace.optimizers)
    return replace(trace, events=events, optimizers=optimizers)


def _renumbered(event: Event, moved: dict[int | None, int | None]) -> Event:
    if not isinstance(event, Backward):
        return event
    problems: dict[object, Saved] = {}
    for number, each in enumerate(event.problems):
        key = each.at if each.state == "freed" else number
        problems.setdefault(
            key, replace(each, write=moved[each.write], freed_by=moved[each.freed_by])
        )
    return replace(event, problems=tuple(problems.values()))


def written(trace: Trace, film: Film | None) -> str:
    """The Trace's file without what is as by default, one event a line."""
    fields = {"schema": store.SCHEMA, **_sparse(trace)}
    if film is not None:
        fields["film"] = {**_sparse(replace(film, graph=None)), "graph": films.plain(film)["graph"]}
    parts = []
    for name, value in store.with_texts(fields).items():
        if isinstance(value, list):
            rows = ",\n  ".join(_json(each) for each in value)
            parts.append(f"{_json(name)}: [\n  {rows}\n]")
        else:
            parts.append(f"{_json(name)}: {_json(value)}")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    assert (store.loads(text), films.loads(text)) == (trace, film)
    return text


def _sparse(value: Any) -> Any:
    """As `store.plain` has it, less the fields that have their default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        full = store.plain(value)
        for field in dataclasses.fields(value):
            own = getattr(value, field.name)
            if own == field.default:
                del full[field.name]
            else:
                full[field.name] = _sparse(own)
        return full
    if isinstance(value, tuple):
        return [_sparse(each) for each in value]
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main(sys.argv[1:])

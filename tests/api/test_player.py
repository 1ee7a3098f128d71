"""What the player shows, and that all of it stands in the trace."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from graphlab import catalogue
from graphlab.api.player import Player, film_of, played_run
from graphlab.observe import program
from graphlab.observe.observation import Observation
from graphlab.rules.registry import find
from graphlab.trace import film as films
from graphlab.trace.film import Film
from graphlab.trace.model import Backward, Write
from graphlab.views.player.compare import difference, pairs
from graphlab.views.player.data import Data, data
from graphlab.views.player.page import RecordedRun, fragment, page
from graphlab.views.player.texts.quiz import questions
from graphlab.views.player.timeline import Timeline

Record = Callable[..., RecordedRun]


@pytest.fixture(scope="module")
def record() -> Record:
    """``record(scenario)``: a run of it under the camera, once a module."""
    known: dict[str, RecordedRun] = {}

    def run(name: str) -> RecordedRun:
        if name not in known:
            sessions: list[Observation] = []

            def started(session: Observation) -> None:
                sessions.append(session)
                session.keep_film()

            what = program.script(str(catalogue.scenario(name).path))
            words = ["--steps", "3", "--device", "cpu"]
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                trace = program.run(what, words, name, started).trace
            assert trace.unseen == ()
            film = film_of(sessions[0], trace, find(trace))
            assert film is not None
            known[name] = played_run(trace, film, find(trace))
        return known[name]

    return run


def shown(each: RecordedRun) -> Data:
    return data(each.trace, each.film, each.findings, each.whys)


def step_of(told: Data, play_: RecordedRun, code: str) -> int:
    """The one step whose line holds exactly that code."""
    lines = next(iter(play_.film.sources.values())).splitlines()
    found = [at for at, each in enumerate(told["steps"]) if lines[each["line"] - 1].strip() == code]
    assert len(found) == 1, found
    return found[0]


def holds(history: list[list[object]], step: int) -> list[object]:
    return [row for row in history if row[0] <= step][-1]  # type: ignore[operator]


# The film


def test_a_film_comes_back_from_its_file(record: Record) -> None:
    naive = record("naive")
    text = films.dumps(naive.trace, naive.film)
    assert films.loads(text) == naive.film
    # A reader that knows no films reads the same trace.
    assert films.loads(films.dumps(naive.trace, None)) is None


def test_its_lines_are_those_of_the_iteration_in_order(record: Record) -> None:
    naive = record("naive")
    (source,) = naive.film.sources.values()
    lines = source.splitlines()
    ran = [lines[moment.at.line - 1].strip() for moment in naive.film.moments]
    body = lines[lines.index("        img = img.to(args.device)") :]
    stop = body.index("        G_loss_.backward()") + 1
    code = [line.strip() for line in body[:stop] if line.strip() and line.strip()[0] != "#"]
    assert ran == code


# What is shown


def test_what_went_stale_turns_at_the_step_that_wrote_it(record: Record) -> None:
    naive = record("naive")
    told = shown(naive)
    wrote = step_of(told, naive, "optimizer_D.step()")
    assert naive.film.graph is not None
    by_torch = sorted(
        (node, each.tensor or "", each.saved_version)
        for node, slots in naive.film.graph.saved.items()
        for each in slots
        if each.state == "stale"
    )
    stale = [each for each in told["saved"] if each["stale"] is not None]
    assert sorted((e["node"], e["tensor"], e["version"]) for e in stale) == by_torch != []
    assert {each["stale"] for each in stale} == {wrote}
    assert all(each["born"] < wrote for each in stale)
    assert f"{len(stale)} saved tensors no longer hold" in told["steps"][wrote]["say"]


def test_versions_and_gradients_change_where_the_trace_says(record: Record) -> None:
    naive = record("naive")
    told = shown(naive)
    wrote = step_of(told, naive, "optimizer_D.step()")
    went_back = step_of(told, naive, "D_loss_.backward(retain_graph=True)")
    written = {
        event.tensor: event
        for event in naive.film.events
        if isinstance(event, Write) and event.by == "optimizer_D.step()"
    }
    for place, event in written.items():
        name = naive.film.tensors[place].name
        row = next(each for each in told["tensors"] if each["name"] == name)
        assert holds(row["history"], wrote - 1)[1] == event.before
        assert holds(row["history"], wrote)[1] == event.after
        assert holds(row["history"], went_back - 1)[2:] == [False, []]
        assert holds(row["history"], went_back)[2:] == [True, ["D_loss_"]]
    assert len(written) == 6


def test_the_three_places_lead_to_their_steps(record: Record) -> None:
    naive = record("naive")
    told = shown(naive)
    (finding,) = told["findings"]
    assert told["start"] == finding["step"] == len(told["steps"]) - 1
    assert [told["steps"][place["step"]]["line"] for place in finding["places"]] == [
        place["line"] for place in finding["places"]
    ]
    assert [place["version"] for place in finding["places"]] == ["v1", "v1 → v2", "v2"]
    assert finding["words"].startswith("RuntimeError: one of the variables needed")
    assert "version number" in finding["why"] and not finding["why"].endswith(":")


def test_the_ledger_ends_as_the_trace_does(record: Record) -> None:
    detach = record("detach")
    told = shown(detach)
    for block, info in zip(told["ledger"], detach.trace.optimizers, strict=True):
        assert (block["name"], block["owns"]) == (info.name, f"6 parameters of {info.name[-1]}")
        last = block["history"][-1]
        assert last[1:] == [1, f"6 parameters of {info.name[-1]}", [f"{info.name[-1]}_loss_"]]
        assert len(info.touched) == 6
    assert told["findings"] == []
    assert told["start"] == 0


def test_a_backward_that_keeps_nothing_frees_what_it_ran_through(record: Record) -> None:
    detach = record("detach")
    told = shown(detach)
    first = step_of(told, detach, "D_loss_.backward()")
    freed = [each for each in told["saved"] if each["freed"] == first]
    assert freed and all(each["born"] < first for each in freed)
    assert f"{len(freed)} saved tensors are freed" in told["steps"][first]["say"]
    assert not any(each["freed"] for each in shown(record("naive"))["saved"])


def test_a_finding_of_another_iteration_says_so(record: Record) -> None:
    naive = record("naive")
    (finding,) = data(naive.trace, naive.film, naive.findings)["findings"]
    assert finding["notes"] == []
    moved = replace(naive.findings[0], iteration=7)
    (finding,) = data(naive.trace, naive.film, [moved])["findings"]
    assert finding["notes"] == ["This was seen in iteration 7; what plays here is iteration 0."]


def test_two_programs_as_a_diff(record: Record) -> None:
    lines = difference(record("naive").film, record("detach").film)
    assert ["-", "    gene_logit = D(gene_img)"] in [[s, f"    {t.strip()}"] for s, t in lines]
    added = [text.strip() for sign, text in lines if sign == "+"]
    assert added == ["gene_logit = D(gene_img.detach())", "D_loss_.backward()",
                     "real_logit = D(img)", "gene_logit = D(gene_img)",
                     "Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))",
                     ]  # fmt: skip
    assert difference(record("naive").film, record("naive").film) == []


def test_equal_lines_of_two_runs_go_together(record: Record) -> None:
    one, other = record("naive").film, record("detach").film
    found = pairs(one, other)
    for at, film in enumerate((one, other)):
        steps = [pair[at] for pair in found if pair[at] is not None]
        assert steps == list(range(len(film.moments))), "each step once, in its order"
    codes = {
        (one.moments[a].at.code, other.moments[b].at.code)
        for a, b in found
        if a is not None and b is not None
    }
    assert ("G_loss_.backward()", "G_loss_.backward()") in codes
    changed = {(a, b) for a, b in codes if a != b}
    assert ("gene_logit = D(gene_img)", "gene_logit = D(gene_img.detach())") in changed
    assert pairs(one, one) == [(at, at) for at in range(len(one.moments))]


# The questions


@pytest.mark.parametrize("name", ["naive", "joint", "detach", "joint-as-printed"])
def test_every_answer_stands_where_its_proof_points(record: Record, name: str) -> None:
    each = record(name)
    whole = films.document(each.trace, each.film)
    asked = questions(each.trace, each.film, each.findings, "D.4.weight")
    assert len(asked) >= 7
    in_words = 0
    for question in asked:
        assert question["proof"]
        for path, value in question["proof"]:
            assert json.loads(value) == films.at(whole, path)
        right = [question["options"][at] for at in question["answer"]]
        values = [json.loads(value) for _, value in question["proof"]]
        if right in (["yes"], ["no"]):
            assert right == ["yes" if values[0] else "no"]
        elif re.fullmatch(r"v\d+", right[0]):
            assert right == [f"v{values[-1]}"]
        elif not question["many"]:
            in_words += 1
        elif right != ["none of them"]:
            texts = values[0] if isinstance(values[0], list) else values
            assert set(right) == {text for text in texts if isinstance(text, str)}
        assert question["words"]
        end = len(each.film.moments)
        assert 0 < question["step"] < end or question["text"] == "Which of these mends the loop?"
    assert in_words >= 1


def test_another_trace_gives_other_answers(record: Record) -> None:
    naive = record("naive")
    events = tuple(
        replace(each, raised=None) if isinstance(each, Backward) else each
        for each in naive.film.events
    )
    before, after = (
        [q["options"][q["answer"][0]] for q in questions(naive.trace, film) if "raise" in q["text"]]
        for film in (naive.film, replace(naive.film, events=events))
    )
    assert (before, after) == (["no", "yes"], ["no", "no"])


# The page


class Read(HTMLParser):
    """All ids of a page, its addresses, and the tags that fetch something by themselves."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                self.addresses.append(value or "")


def test_ids_are_unique_even_with_two_on_a_page(record: Record) -> None:
    naive = record("naive")
    read = Read(fragment([naive]) + fragment([naive, record("detach")]))
    assert len(read.ids) == len(set(read.ids)) > 100


def test_the_page_fetches_nothing(record: Record) -> None:
    text = page([record("naive")], quiz=True)
    read = Read(text)
    assert read.addresses == ["data:,"]
    assert not {"img", "iframe", "object", "embed", "base"} & set(read.tags)
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(text.encode()) < 2_000_000


def test_hostile_names_are_text(record: Record) -> None:
    bad = "</script><img src=x onerror=alert(1)>\"'&망"
    naive = record("naive")
    source = {name: f"{text}# {bad}\n" for name, text in naive.film.sources.items()}
    tensors = tuple(replace(each, name=f"{each.name}{bad}") for each in naive.film.tensors)
    hostile = RecordedRun(
        replace(naive.trace, target=bad),
        replace(naive.film, sources=source, tensors=tensors, optimizers=(bad, bad)),
        tuple(replace(each, summary=bad) for each in naive.findings),
    )
    text = page([hostile])
    read = Read(text)
    assert "img" not in read.tags
    assert read.tags.count("script") == 2
    (found,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    (told,) = json.loads(found)["plays"]
    assert told["title"] == bad
    assert told["findings"][0]["summary"] == bad
    assert told["files"][0]["lines"][-1] == f"# {bad}"


def test_an_iteration_without_a_graph_still_plays(record: Record) -> None:
    naive = record("naive")
    bare = RecordedRun(naive.trace, replace(naive.film, graph=None, passages=()))
    told = data(bare.trace, bare.film, ())
    assert told["saved"] == []
    assert [each["line"] for each in told["steps"]] == [m.at.line for m in naive.film.moments]
    assert "no graph to draw" in page([bare])


def test_a_notebook_shows_it_in_a_frame(record: Record) -> None:
    player = Player([record("naive")])
    html = player._repr_html_()
    assert html.startswith("<iframe srcdoc=") and html.count("<") == 2
    assert repr(player) == "<graphlab.Player of naive>"


def test_steps_know_no_step_outside_the_film(record: Record) -> None:
    naive = record("naive")
    steps = Timeline(naive.trace, naive.film)
    first = naive.film.moments[0]
    assert steps.begun(first.seq - 1) is None
    assert steps.at(replace(first.at, file="elsewhere.py")) is None
    assert steps.at(first.at) == 0
    empty: Film = replace(naive.film, moments=())
    assert Timeline(naive.trace, empty).at(first.at) is None


# Runs that are not as usual


def filmed_script(tmp_path: Path, text: str, nan_from: int | None = None) -> RecordedRun:
    path = tmp_path / "odd.py"
    path.write_text(text, encoding="utf-8")
    sessions: list[Observation] = []

    def started(session: Observation) -> None:
        sessions.append(session)
        session.keep_film()
        if nan_from is not None:
            session.numbers.look_from(nan_from)

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        trace = program.run(program.script(str(path)), [], "odd.py", started).trace
    assert trace.unseen == ()
    film = film_of(sessions[0], trace, find(trace))
    assert film is not None
    return played_run(trace, film, find(trace))


LOOP = """\
import torch
net = torch.nn.Linear(2, 1)
opt = torch.optim.SGD(net.parameters(), lr=0.1)

def learn(loss):
    opt.zero_grad()
    loss.backward()
    opt.step()

for epoch in range(3):
    for x in [torch.ones(4, 2)] if epoch == 0 else []:
        learn(net(x).mean())
"""


def test_an_iteration_ends_at_its_loops_head(tmp_path: Path) -> None:
    each = filmed_script(tmp_path, LOOP + "print('done')\n")
    ran = [moment.at.line for moment in each.film.moments]
    assert ran == [12, 6, 7, 8, 11]
    assert shown(each)["steps"][0]["say"].startswith("net runs.")


def test_a_line_that_only_calls_says_where_it_goes_on(tmp_path: Path) -> None:
    text = LOOP.replace("learn(net(x).mean())", "loss = net(x).mean()\n        learn(loss)")
    each = filmed_script(tmp_path, text)
    assert shown(each)["steps"][1]["say"] == "It goes on in learn()."


def test_an_error_that_no_rule_knows_is_shown_where_it_is_raised(tmp_path: Path) -> None:
    text = LOOP.replace("if epoch == 0 else []", "") + (
        "        if epoch == 2:\n            raise ValueError('too small')\n"
    )
    each = filmed_script(tmp_path, text)
    told = shown(each)
    last = len(told["steps"]) - 1
    assert told["moment"] == ["iteration 2", "raised ValueError"]
    assert told["start"] == last
    assert told["crash"] == {"type": "ValueError", "message": "too small", "step": last}
    assert told["steps"][last]["say"] == "ValueError is raised here."
    assert told["steps"][last]["kind"] == "raised"
    later = replace(each.trace.events[-1], seq=each.trace.events[-1].seq + 1)
    told = data(replace(each.trace, events=(*each.trace.events, later)), each.film, ())
    assert told["moment"][1] == "the run raised ValueError elsewhere"
    assert told["crash"]["step"] is None and told["start"] == 0


def test_an_iteration_is_kept_however_long_the_next_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphlab.observe.film.recorder.LONGEST", 20)
    text = LOOP.replace("if epoch == 0 else []", "").replace(
        "        learn(", "        for _ in range(epoch * 60):\n            pass\n        learn("
    )
    each = filmed_script(tmp_path, text)
    assert each.film.iteration == 0
    events = {type(event).__name__ for event in each.film.events}
    assert {"Backward", "Step"} <= events
    assert each.film.left_out == 0
    lines = [moment.at.line for moment in each.film.moments]
    assert lines[:1] == [12] and lines[-1] == 8


def test_a_write_through_data_leaves_the_version_as_it_is(tmp_path: Path) -> None:
    text = LOOP + "        net.weight.data.mul_(0.5)\n        x.add_(1)\n"
    said = [step["say"] for step in shown(filmed_script(tmp_path, text))["steps"]]
    assert any(
        each.endswith(
            "writes net.weight in place: the version stays 2, so autograd does not see it."
        )
        for each in said
    ), said
    assert not any("no version counts" in each for each in said)


def test_two_runs_of_one_name_are_told_apart(record: Record) -> None:
    naive = record("naive")
    (found,) = re.findall(
        r'<script type="application/json"[^>]*>(.*?)</script>', page([naive, naive]), re.DOTALL
    )
    one, other = json.loads(found)["plays"]
    assert (one["title"], other["title"]) == ("naive (1)", "naive (2)")
    assert one["others"][0]["title"] == "naive (2)"


def test_a_freed_graph_says_who_freed_it(record: Record) -> None:
    last = shown(record("detach-as-printed"))["steps"][-1]["say"]
    assert last == (
        "G_loss_.backward() raises RuntimeError. It needs what line 31 saved, and "
        "D_loss_.backward() has let go of that already."
    )


OVERFLOWS = """\
import torch
torch.manual_seed(0)
net = torch.nn.Linear(3, 3)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(12):
    x = torch.ones(2, 3) * (1e4 if step == 9 else 1)
    z = net(x).abs()
    spare = z * 2
    y = torch.exp(z)
    loss = (y - 1).mean() + spare.mean() * 0
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_what_is_not_finite_goes_from_box_to_box(tmp_path: Path) -> None:
    play = filmed_script(tmp_path, OVERFLOWS)
    told = shown(play)
    graph = play.film.graph
    assert play.film.iteration == 9 and graph is not None
    lines = {node: told["steps"][step]["line"] for step, node, _ in told["reached"]}
    # From the exponential to the loss, past what only other terms need, then to the parameters.
    names = {
        graph.operations[node].split("Backward")[0]: badge for _, node, badge in told["reached"]
    }
    assert names["Exp"] == "∞" and names["Sub"] == names["Mean"] == "NaN/∞"
    assert [lines[node] for node in lines] == sorted(lines.values())
    spare = {node for node, at in graph.places.items() if at.line == 8}
    assert spare and not spare & lines.keys()
    (made,) = [each for each in told["steps"] if "makes the first" in each["say"]]
    assert made["line"] == 9
    last = told["reached"][-1][0]
    assert told["steps"][last]["kind"] == "backward"
    assert "reaches the gradients of 2 parameters" in told["steps"][last]["say"]


def test_a_derivative_that_is_not_finite_begins_at_the_backward(tmp_path: Path) -> None:
    text = OVERFLOWS.replace("range(12)", "range(5)").replace("1e4 if step == 9", "1 if step < 9")
    text = text.replace("torch.exp(z)", "(z * (step != 2)).sqrt()")
    told = shown(filmed_script(tmp_path, text))
    backward = next(at for at, each in enumerate(told["steps"]) if each["kind"] == "backward")
    assert told["reached"] and {step for step, _, _ in told["reached"]} == {backward}
    assert "the derivative of sqrt makes" in told["steps"][backward]["say"]


def test_a_late_derivative_plays_where_a_second_run_looks_for_it(tmp_path: Path) -> None:
    text = OVERFLOWS.replace("1e4 if step == 9", "1 if step < 12")
    text = text.replace("torch.exp(z)", "(z * (step != 9)).sqrt()")
    first = filmed_script(tmp_path, text)
    assert first.film.iteration == 0
    assert "With --nan-from 9 the page plays that one." in shown(first)["findings"][0]["notes"]
    again = filmed_script(tmp_path, text, nan_from=9)
    assert again.film.iteration == 9 and shown(again)["reached"]


def test_a_finite_iteration_has_no_such_badge(record: Record) -> None:
    assert shown(record("naive"))["reached"] == []

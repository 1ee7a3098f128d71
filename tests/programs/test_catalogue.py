"""The scenarios' headers, how a name is found, and what counts as meeting an expectation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab import catalogue, language
from graphlab.catalogue import Expectation, read, scenario, scenarios
from graphlab.errors import UserError
from graphlab.language.lists import suggestion
from graphlab.rules.expected import mismatch
from graphlab.trace.finding import Finding, Place, Severity

EXPECTED = {
    "naive": "GL001 at G_loss_.backward()",
    "detach-as-printed": "GL002 at G_loss_.backward()",
    "detach": "clean",
    "recompute-as-printed": "GL001 at G_loss_.backward()",
    "recompute": "clean",
    "joint-as-printed": "GL002 at G_loss_.backward() in iteration 1",
    "joint": "GL101 at optimizer_G.step()",
    "joint-one-to-one": "GL101 at optimizer_G.step()",
    "joint-isolated": "clean",
    "naive-fused": "GL105 at G_loss_.backward()",
    "ranks-local": "clean",
    "ranks-global": "clean",
    "overflow": "GL201 at optimizer_D.step()",
    "overflow-masked": "GL202 at D_loss_.backward()",
    "logsumexp": "clean",
}


def test_the_scenarios_are_those_of_the_table_with_their_expectations() -> None:
    assert {each.name: str(each.expected(None)) for each in scenarios()} == EXPECTED


def test_every_scenario_has_a_title_a_lesson_and_repairs_that_exist() -> None:
    known = {each.name: each for each in scenarios()}
    for each in known.values():
        assert each.title
        assert each.lesson
        assert "expect" not in each.lesson
        broken = any(expected.code for expected in each.expectations.values())
        assert bool(each.repaired_by) == broken
        for name in each.repaired_by:
            # A repair is a scenario that keeps clean with every optimizer.
            assert {str(e) for e in known[name].expectations.values()} == {"clean"}


def test_the_header_differs_by_optimizer_where_it_says_so() -> None:
    naive = scenario("naive")
    assert str(naive.expected("adam")) == "GL001 at G_loss_.backward()"
    assert str(naive.expected("sgd")) == "GL001 at G_loss_.backward()"
    assert str(naive.expected("adam-fused")) == "GL105 at G_loss_.backward()"


@pytest.mark.parametrize(
    ("header", "expectations"),
    [
        ("expect: clean", {None: Expectation(None)}),
        ("expect: GL001 at `loss.backward()`", {None: Expectation("GL001", "loss.backward()")}),
        (
            "expect: GL002 at `loss.backward()` in iteration 12",
            {None: Expectation("GL002", "loss.backward()", 12)},
        ),
        (
            "expect: clean\nexpect[adam-fused]: GL105 at `a.b().backward()`",
            {None: Expectation(None), "adam-fused": Expectation("GL105", "a.b().backward()")},
        ),
        ("Nothing is promised.", {}),
    ],
)
def test_headers(tmp_path: Path, header: str, expectations: Any) -> None:
    path = tmp_path / "my_own_loop.py"
    path.write_text(f'"""The title.\n\nA lesson\nin two lines.\n\n{header}\n"""\n')
    found = read(path)
    assert (found.name, found.title) == ("my-own-loop", "The title.")
    assert found.lesson.startswith("A lesson\nin two lines.")
    assert found.expectations == expectations


@pytest.mark.parametrize(
    "header",
    [
        "expect: GL001",
        "expect: GL1 at `loss.backward()`",
        "expect: GL001 at loss.backward()",
        "expect: GL001 at `loss.backward()` in iteration one",
        "expect[sgd]: cleen",
    ],
)
def test_an_expectation_that_cannot_be_read_is_no_lesson(tmp_path: Path, header: str) -> None:
    """A slip of the pen must not turn a promise into prose that nobody checks."""
    path = tmp_path / "loop.py"
    path.write_text(f'"""The title.\n\nexpect: clean\n{header}\n"""\n')
    with pytest.raises(UserError, match="expect"):
        read(path)


def test_a_script_without_a_docstring_has_no_expectation(tmp_path: Path) -> None:
    path = tmp_path / "loop.py"
    path.write_text("x = 1\n")
    found = read(path)
    assert (found.title, found.lesson, found.expectations) == ("", "", {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"x = (\n", r"line 1 of .*loop\.py is not valid Python"),
        (b"a = 1\nif a:\nb = 2\n", r"line 3 of .*loop\.py is not valid Python"),
        (b"x = '\xff'\n", r"loop\.py is not valid Python"),
        (b"x = 1\0\n", r"loop\.py is not valid Python"),
    ],
)
def test_what_is_not_python_is_refused_in_one_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "loop.py"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert caught.value.help


def test_python_files_in_other_encodings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "loop.py"
    path.write_bytes(
        '# -*- coding: latin-1 -*-\n"""Größe.\n\nexpect: clean\n"""\n'.encode("latin-1")
    )
    assert read(path).title == "Größe."


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read(tmp_path / "nowhere.py")
    with pytest.raises(UserError, match="cannot read"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("naiv", "naive"), ("detatch", "detach"), ("recompute_as_printed", "recompute-as-printed")],
)
def test_a_misspelt_name_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"no scenario is called '{typed}'") as caught:
        scenario(typed)
    assert f"did you mean {meant}?" in caught.value.help


def test_a_name_like_none_is_answered_with_the_list() -> None:
    with pytest.raises(UserError) as caught:
        scenario("xyzzy")
    assert caught.value.help == "graphlab list shows all"
    assert suggestion("xyzzy", ["naive"], "otherwise") == "otherwise"


def test_a_scenario_shows_in_english_what_its_title_says() -> None:
    texts = language.catalogue("en")
    for each in scenarios():
        assert texts[f"list.scenario.{each.name}"] == each.title.partition(": ")[2] == each.shows


def test_the_loops_of_the_post_come_first_in_its_order() -> None:
    names = [each.name for each in scenarios()]
    assert names[:3] == ["naive", "detach-as-printed", "detach"]
    assert names.index("naive-fused") < names.index("logsumexp") < names.index("ranks-local")


def test_an_installed_package_reads_the_scenarios_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "graphlab" / "scenarios" / "family"
    inside.mkdir(parents=True)
    (inside / "only_one.py").write_text('"""Title.\n\nexpect: clean\n"""\n')
    (inside / "_helper.py").write_text("x = (")
    (inside / ".hidden.py").write_text("x = (")
    monkeypatch.setattr(catalogue, "_HERE", tmp_path / "graphlab")
    assert [each.name for each in scenarios()] == ["only-one"]


# What check makes of what was found


def found(code: str, call: str, iteration: int | None = 0) -> Finding:
    severity: Severity = "error" if code < "GL100" else "info" if code == "GL108" else "warning"
    return Finding(code, "name", severity, "summary", iteration, failed=Place(None, call))


GOOD = found("GL001", "loss.backward()")
INFO = found("GL108", "loss.backward()")
OTHER = found("GL101", "optimizer.step()")


@pytest.mark.parametrize(
    ("expected", "findings", "met"),
    [
        (Expectation(None), [], True),
        (Expectation(None), [INFO], True),
        (Expectation(None), [GOOD], False),
        (Expectation(None), [OTHER], False),
        (Expectation("GL001", "loss.backward()"), [GOOD], True),
        (Expectation("GL001", "loss.backward()"), [INFO, GOOD], True),
        (Expectation("GL001", "loss.backward()"), [], False),
        (Expectation("GL001", "loss.backward()"), [INFO], False),
        (Expectation("GL001", "loss.backward()"), [OTHER], False),
        (Expectation("GL001", "loss.backward()"), [GOOD, OTHER], False),
        (Expectation("GL001", "loss.backward()"), [OTHER, GOOD], False),
        (Expectation("GL001", "other.backward()"), [GOOD], False),
        (Expectation("GL002", "loss.backward()"), [GOOD], False),
        (Expectation("GL001", "loss.backward()", 0), [GOOD], True),
        (Expectation("GL001", "loss.backward()", 1), [GOOD], False),
    ],
)
def test_an_expectation_is_met_by_its_finding_and_nothing_else(
    expected: Expectation, findings: list[Finding], met: bool
) -> None:
    said = mismatch(expected, findings)
    assert (said is None) == met
    if said is not None:
        assert str(expected) in said


def test_the_catalogue_reads_without_torch(without_torch: None) -> None:
    assert len(scenarios()) == len(EXPECTED)

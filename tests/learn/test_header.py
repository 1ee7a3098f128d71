"""The header of an exercise, its translation, and the course that a folder of them is."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.errors import UserError
from graphlab.language import LANGUAGES, catalogue, say_in
from graphlab.learn.claims import claim, sentences
from graphlab.learn.course import called, exercises
from graphlab.learn.exercise import is_exercise, load

SCRIPT = '''"""A title.

A task
in two lines.

part: A part
expect: GL001 at `loss.backward()`
assert: optimizer changes model
hint: first
    hint
hint: second
lesson: learned
"""

x = 1
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "2_a_script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_header_is_read(script: Path) -> None:
    found = load(script, "en")
    assert (found.name, found.part, found.title) == ("a_script", "A part", "A title.")
    assert (found.task, found.lesson) == ("A task\nin two lines.", "learned")
    assert found.hints == ("first hint", "second")
    assert str(found.expectation) == "GL001 at loss.backward()"
    assert found.handed_out() == '"""A title.\n\nA task\nin two lines.\n"""\n\nx = 1\n'
    assert found.all_hints() == ["first hint", "second"]


def test_the_solution_is_the_last_hint(script: Path) -> None:
    script.with_name("2_a_script.solution.py").write_text("x = 2\n", encoding="utf-8")
    last = load(script, "en").all_hints()[-1]
    assert last.splitlines()[1:] == ["⋮", "-x = 1", "+x = 2"]


def test_a_translation_replaces_what_it_has(script: Path) -> None:
    words = "제목.\n\n할 일.\n\nhint: 하나\nhint: 둘\n"
    script.with_name("2_a_script.ko.txt").write_text(words, encoding="utf-8")
    found = load(script, "ko")
    assert (found.title, found.task, found.hints) == ("제목.", "할 일.", ("하나", "둘"))
    assert (found.part, found.lesson) == ("A part", "learned")
    assert found.claims == load(script, "en").claims


@pytest.mark.parametrize("line", ["asserts: x", "Hint: x", "assert : x", "hints: x"])
def test_a_slip_of_the_pen_is_refused(script: Path, line: str) -> None:
    script.write_text(f'"""A title.\n\n{line}\n"""\n', encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        load(script, "en")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("o applies the gradient of a and b alone", "isolated", ["o", "a and b"]),
        ("self.opt changes net.head and w", "touches", ["self.opt", "net.head and w"]),
        ("o changes only a, b and c", "touches_only", ["o", "a, b and c"]),
        ("o makes 4 steps", "steps", ["o", "4"]),
        ("loss reaches net[0].weight", "reaches", ["loss", "net[0].weight"]),
        ("loss does not reach G", "not_reaches", ["loss", "G"]),
        ("the graph stays the same size", "constant", []),
        ("no gradient is wasted", "no_waste", []),
        ("every number is finite", "finite", []),
        ("loss ends below -0.5", "ends_below", ["loss", "-0.5"]),
        (".data is not used", "unused", [".data"]),
    ],
)  # fmt: skip
def test_the_sentences(text: str, kind: str, words: list[str]) -> None:
    found = claim(text, Path("x.py"))
    assert (found.kind, list(found.words.values())) == (kind, words)
    assert found.told() == text
    for language in LANGUAGES:
        assert say_in(language, f"learn.claim.{kind}", **found.words)


def test_there_is_a_check_for_every_sentence() -> None:
    from graphlab.learn.judged import _CHECKS

    assert set(_CHECKS) == set(sentences())


def test_the_page_lists_every_sentence() -> None:
    page = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
    for sentence in sentences().values():
        for word, shown in {
            "optimizer": "OPTIMIZER", "losses": "LOSS", "loss": "LOSS", "modules": "MODEL",
            "count": "10", "name": "NAME", "number": "0.1", "writing": ".data",
        }.items():  # fmt: skip
            sentence = sentence.replace(f"{{{word}}}", shown)
        assert f"| `{sentence}` |" in page


@pytest.mark.parametrize(
    "text", ["optimizer changed model", ".grad is not used", "loss ends below little", ""]
)
def test_what_is_no_sentence_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"x\.py asserts what cannot be read"):
        claim(text, Path("x.py"))


def test_every_silencer_has_its_reason() -> None:
    from graphlab.learn.silencers import SILENCERS, key

    for name in SILENCERS:
        assert f"learn.silencer.{key(name)}" in catalogue("en")


def test_a_course_is_in_the_order_of_its_files_and_leaves_out_the_rest(tmp_path: Path) -> None:
    for name in ("b/2_second.py", "b/10_tenth.py", "a/first.py", "_helper.py", ".hidden/x.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "b" / "2_second.solution.py").write_text("x = 2\n", encoding="utf-8")
    (tmp_path / "plain.py").write_text("x = 1\n", encoding="utf-8")
    known = exercises(tmp_path, "en")
    assert [each.name for each in known] == ["first", "second", "tenth"]
    assert not is_exercise(tmp_path / "plain.py")
    assert called("b/2_second.py", known) is called("second", known)
    with pytest.raises(UserError, match="no exercise is called secnd") as raised:
        called("secnd", known)
    assert "second" in raised.value.help


def test_two_exercises_of_one_name_and_a_course_without_any_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no script in"):
        exercises(tmp_path, "en")
    for name in ("1_one.py", "2_one.py"):
        (tmp_path / name).write_text(SCRIPT, encoding="utf-8")
    with pytest.raises(UserError, match="two exercises are called one"):
        exercises(tmp_path, "en")

"""The header of an exercise, its translation, and the course that a folder of them is."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.errors import UserError
from graphlab.language import LANGUAGES, catalogue, say_in
from graphlab.learn.claims import claim, sentences, shown
from graphlab.learn.course import called, exercises
from graphlab.learn.exercise import fault, is_exercise, load, translations

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


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("asserts: x", "assert"), ("Hint: x", "hint"), ("assert : x", "assert"),
        ("hints: x", "hint"), ("leson: x", "lesson"), ("Lessons: x", "lesson"),
        ("expct: clean", "expect"), ("asert: x", "assert"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_refused_with_what_is_meant(
    script: Path, line: str, meant: str
) -> None:
    script.write_text(f'"""A title.\n\n{line}\n"""\n', encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read") as raised:
        load(script, "en")
    assert raised.value.help.startswith(f"did you mean {meant}:?")


@pytest.mark.parametrize(
    "line", ["path: data/", "Note: x", "the hint: x", "Part two: x", "ports: x", "https://x.org"]
)
def test_a_colon_in_the_task_is_no_slip(script: Path, line: str) -> None:
    script.write_text(f'"""A title.\n\n{line}\n"""\n', encoding="utf-8")
    assert load(script, "en").task == line


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("제목.\n\n할 일.\n\nhint: 하나\nhint: 둘\nlesson: 배움\n", None),
        ("제목.\n\nhttps://x.org: 읽으세요.\n", None),
        ("제목.\n\nw: 파라미터.\n", None),
        ("제목.\n\nhint: 하나\n", "1 hint, and 2 in the script"),
        ("제목.\n\nexpect: clean\n", "expect: belongs in the script alone"),
        ("제목.\n\nassert: optimizer changes model\n", "assert: belongs in the script alone"),
        ("제목.\n\ntask: 할 일.\n", "task: is no field"),
        ("제목.\n\nleson: 배움\n", "{file} has a line in its header that cannot be read"),
    ],
)
def test_a_translation_is_measured_by_the_script(
    script: Path, text: str, wrong: str | None
) -> None:
    script.write_text(SCRIPT.replace("part:", "w: a parameter.\n\npart:"), encoding="utf-8")
    file = script.with_name("2_a_script.ko.txt")
    file.write_text(text, encoding="utf-8")
    assert translations(script) == ["ko"]
    found = fault(script, "ko")
    if wrong is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(wrong.format(file=file))


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
    for sentence in shown():
        assert f"| `{sentence}` |" in page


@pytest.mark.parametrize(
    "text", ["optimizer changed model", ".grad is not used", "loss ends below little", ""]
)
def test_what_is_no_sentence_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"x\.py asserts what cannot be read"):
        claim(text, Path("x.py"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("optimizer changes rnn und head", "OPTIMIZER changes MODEL"),
        ("optimizer change only head!", "OPTIMIZER changes only MODEL"),
        ("optimizer makes many steps", "OPTIMIZER makes 10 steps"),
        ("loss reach head, rnn", "LOSS reaches MODEL"),
        ("the_loss_of_the_optimizer ends below a tenth", "NAME ends below 0.1"),
        (".grad is not used", ".data is not used"),
        ("it works", None),
    ],
)
def test_a_wrong_sentence_is_met_with_the_one_of_its_verb(text: str, meant: str | None) -> None:
    with pytest.raises(UserError) as raised:
        claim(text, Path("x.py"))
    said = f'did you mean "{meant}"? ' if meant is not None else ""
    assert raised.value.help == f"{said}docs/teaching.md lists the sentences"


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
    for name in ("b/2_second.py", "2-second", "2_second"):
        assert called(name, known) is called("second", known)
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

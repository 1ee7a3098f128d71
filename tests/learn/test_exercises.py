"""Every exercise: broken as it says, passed by its solution, and by nothing that only silences."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from graphlab.learn.course import exercises, own
from graphlab.learn.exercise import Exercise
from graphlab.learn.popular import popular
from graphlab.learn.runner import Run
from graphlab.learn.trial import tried
from graphlab.learn.verdict import Verdict, judge
from graphlab.rules.expected import mismatch

EXERCISES = {each.name: each for each in exercises(own(), "en")}
KOREAN = {each.name: each for each in exercises(own(), "ko")}
NAMES = list(EXERCISES)
Attempt = Callable[[Exercise, str], Verdict]

# What a solution of the post's exercises has where G is trained.
Z_B = "Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()"
ANEW = f"    real_logit = D(img)\n    gene_logit = D(gene_img)\n    {Z_B}\n    G_loss_"
CUT = ANEW.replace("D(gene_img)", "D(gene_img.detach())")
UNRECORDED = (
    "    with torch.no_grad():\n        real_logit, gene_logit = D(img), D(gene_img)\n"
    f"        {Z_B}\n    G_loss_"
)
NO_STEP_IN_BETWEEN = [
    ("    optimizer_D.step()\n", ""),
    ("    optimizer_G.zero_grad()\n", ""),
    ("    G_loss_.backward()\n", "    G_loss_.backward()\n    optimizer_D.step()\n"),
]
# What people try besides what `popular` makes. In the solution (True) or the exercise, the first
# text of each pair is replaced by the second. The last is part of what the verdict must say.
REFUSED = {
    "G learns from detached images": (
        "one_forward", True, [(ANEW, CUT)], "optimizer_G applied no gradient of G_loss_",
    ),
    "both backwards before both steps": (
        "one_forward", False, NO_STEP_IN_BETWEEN, "optimizer_G applied the gradient of D_loss_",
    ),
    "G's loss is computed without a graph": (
        "logits_anew", True, [(ANEW, UNRECORDED)], "GL005",
    ),
    "no image has a graph": (
        "detach", True, [("G(torch.randn(32, 4))", "G(torch.randn(32, 4)).data")],
        "optimizer_G applied no gradient of G_loss_",
    ),
    "only G's gradient is kept apart": (
        "only_black_images", True, [("inputs=list(D.parameters())", "inputs=None")],
        "optimizer_G applied the gradient of D_loss_",
    ),
    "no state is carried over": (
        "carried_state", False, [("(sequence[step], hidden)", "(sequence[step])")],
        "left 1 of 4 parameters of cell",
    ),
    "a new leaf in every iteration": (
        "by_hand", False, [("w -= 0.2", "w = w - 0.2"), ("b -= 0.2", "b = b - 0.2")], "NoneType",
    ),
    "the loss is told to require grad": (
        "a_number_has_no_graph", False,
        [("penalty.item())", "penalty.item(), requires_grad=True)")], "GL110",
    ),
    "the clipping is left out": (
        "data", False, [("        p.data.clamp_(-0.1, 0.1)\n", "        pass\n")],
        "largest ends at",
    ),
    "the loop is left before it fails": (
        "carried_state", False,
        [("    loss = (head", "    if step:\n        break\n    loss = (head")],
        "optimizer made 1 step",
    ),
}  # fmt: skip


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """``attempt(exercise, source)``: the verdict on a source, run in this process."""
    # A name of its own for each: Python and graphlab keep the lines of a file that they have read.
    number = itertools.count()

    def run(exercise: Exercise, source: str) -> Verdict:
        path = tmp_path / f"{next(number)}.py"
        path.write_text(source, encoding="utf-8")
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            found = tried(str(path), exercise.claims, exercise.name)
        return judge(exercise, path, Run(found, output.getvalue(), 0.0))

    return run


def said(verdict: Verdict) -> str:
    codes = [finding.code for finding in verdict.findings]
    return " ".join([*codes, *(each.why for each in verdict.held), verdict.output])


def test_there_are_four_parts_of_four() -> None:
    parts: dict[str, int] = {}
    for each in EXERCISES.values():
        parts[each.part] = parts.get(each.part, 0) + 1
    assert list(parts.values()) == [4, 4, 4, 4]


@pytest.mark.parametrize("name", NAMES)
def test_broken_it_fails_as_it_says_and_the_solution_passes(name: str, attempt: Attempt) -> None:
    exercise = EXERCISES[name]
    broken = attempt(exercise, exercise.handed_out())
    assert not broken.passed
    assert exercise.expectation is not None
    assert mismatch(exercise.expectation, list(broken.findings)) is None
    assert exercise.solution is not None
    mended = attempt(exercise, exercise.solution)
    assert mended.passed, said(mended)
    assert mended.silencers == ()


@pytest.mark.parametrize("name", NAMES)
def test_popular_repairs_that_only_silence_are_refused(name: str, attempt: Attempt) -> None:
    exercise = EXERCISES[name]
    made = popular(exercise.source)
    assert len(made) >= 3
    for repair, source in made.items():
        verdict = attempt(exercise, source)
        assert not verdict.passed, repair
        assert repair in {each.name for each in verdict.silencers}, repair


@pytest.mark.parametrize("what", REFUSED)
def test_what_people_try_is_refused_with_the_reason(what: str, attempt: Attempt) -> None:
    name, from_solution, edits, reason = REFUSED[what]
    exercise = EXERCISES[name]
    source = exercise.solution if from_solution else exercise.source
    assert source is not None
    for before, after in edits:
        assert before in source
        source = source.replace(before, after)
    verdict = attempt(exercise, source)
    assert not verdict.passed
    assert reason in said(verdict)


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_is_small_and_its_hints_come_before_the_solution(name: str) -> None:
    exercise = EXERCISES[name]
    assert 13 <= len(exercise.source.splitlines()) <= 40
    where, why, solution = exercise.all_hints()
    assert where.startswith("Where to look:")
    assert why.startswith("Why:")
    assert "\n+" in solution
    assert exercise.lesson
    handed_out = exercise.handed_out()
    compile(handed_out, "exercise.py", "exec")
    for hidden in (*exercise.hints, exercise.lesson, "assert:", "expect:"):
        assert hidden not in handed_out


@pytest.mark.parametrize("name", NAMES)
def test_every_text_of_an_exercise_is_there_in_korean(name: str) -> None:
    english, korean = EXERCISES[name], KOREAN[name]
    assert korean.claims == english.claims
    assert len(korean.hints) == len(english.hints)
    for field in ("part", "title", "task", "lesson"):
        told = getattr(korean, field)
        assert told != getattr(english, field)
        assert any("가" <= letter <= "힣" for letter in told)
    compile(korean.handed_out(), "exercise.py", "exec")

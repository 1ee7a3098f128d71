"""graphlab check: scenarios, exercises and other files with a header, against that header."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import replace
from pathlib import Path

from graphlab.catalogue import Scenario, read, scenario, scenarios
from graphlab.commands.learn.prove import proofs
from graphlab.commands.progress import Line
from graphlab.commands.report import check_format
from graphlab.errors import UserError
from graphlab.language import current, message, say, told
from graphlab.learn.course import exercises
from graphlab.learn.exercise import is_exercise, named
from graphlab.rules.expected import mismatch
from graphlab.trace.finding import Finding

# Enough iterations for every finding of the scenarios to show.
STEPS = ("--steps", "8")
# Columns of what was run of an exercise.
LABEL = 17
OPTIMIZERS = ("adam", "adam-fused", "sgd")


def check(names: list[str], arguments: list[str], form: str = "text") -> int:
    """Returns 0 when all meet their expectation, 1 otherwise. Where one does not, its findings are
    printed as well if `form` is another than text."""
    check_format(form)
    chosen = [one for name in names for one in _choose(name)] or [(s, True) for s in scenarios()]
    for each, _ in chosen:
        if not each.expectations:
            raise UserError(
                message("usage.no_expect", path=str(each.path)), message("usage.help.add_expect")
            )
    from rich.cells import set_cell_size
    from rich.text import Text

    from graphlab.output import streams
    from graphlab.views.console import stderr, stdout
    from graphlab.views.machine import lines

    console = stdout()
    failed = total = 0
    width = max(len(each.name) for each, _ in chosen)

    def tell(name: str, label: str, said: str, wrong: bool) -> None:
        nonlocal failed, total
        total += 1
        failed += wrong
        line = Text.assemble(
            ("✗ ", "red") if wrong else ("✓ ", "green"), f"{name:<{width}}  ",
            (f"{label:<10}  ", "dim"), said, overflow="fold",
        )  # fmt: skip
        progress.clear()
        console.print(line)
        progress.show(doing)

    with Line(stderr()) as progress:
        for number, (each, own) in enumerate(chosen, 1):
            doing = say("check.working", number=number, all=len(chosen), name=each.name)
            progress.show(doing)
            if not own and is_exercise(each.path):
                for proof in proofs(each.path):
                    tell(each.name, set_cell_size(proof.label, LABEL), proof.said, proof.wrong)
                continue
            for optimizer in _variants(own, arguments):
                expected = each.expected(optimizer)
                if expected is None:
                    continue
                findings, problem = _observe(each, optimizer, own, arguments)
                wrong = problem or mismatch(expected, findings)
                wrong = wrong and told(wrong)
                label = optimizer or _given(arguments) or ""
                tell(each.name, label, str(expected) if wrong is None else wrong, wrong is not None)
                if wrong is not None and form != "text":
                    progress.clear()
                    for line in lines.render(findings, form, os.getcwd()):
                        streams.line(line, streams.out())
    console.print(say("check.met", met=total - failed, all=total), style="bold")
    return 1 if failed else 0


def _choose(name: str) -> list[tuple[Scenario, bool]]:
    """The scripts that a word names, and whether they are scenarios of graphlab's own."""
    if os.path.isdir(name):
        found = exercises(Path(name), current())
        return [(replace(read(each.path), name=each.name), False) for each in found]
    if name.endswith(".py") or os.sep in name:
        path = Path(name)
        each, own = read(path), folder_of(path)
        if not own and is_exercise(path):
            each = replace(each, name=named(path))
        return [(each, own)]
    return [(scenario(name), True)]


def folder_of(path: Path) -> bool:
    from graphlab.catalogue import folder

    return folder() in path.resolve().parents


def _variants(own: bool, arguments: list[str]) -> tuple[str | None, ...]:
    """graphlab's own scenarios run with every optimizer, unless one was named."""
    given = _given(arguments)
    if given is not None:
        return (given,)
    return OPTIMIZERS if own else (None,)


def _given(arguments: list[str]) -> str | None:
    for at, word in enumerate(arguments):
        if word == "--optimizer" and at + 1 < len(arguments):
            return arguments[at + 1]
        if word.startswith("--optimizer="):
            return word.partition("=")[2]
    return None


def _observe(
    each: Scenario, optimizer: str | None, own: bool, arguments: list[str]
) -> tuple[list[Finding], str | None]:
    from graphlab.observe import program
    from graphlab.rules.registry import find

    words = list(arguments)
    if own and not any(word.startswith("--steps") for word in words):
        words += STEPS
    if own and optimizer is not None and _given(arguments) is None:
        words += ("--optimizer", optimizer)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        ran = program.run(program.script(str(each.path)), words, each.name)
    if ran.exit_code == 2 and arguments and not any(o.steps for o in ran.trace.optimizers):
        raise _refused(each.name, output.getvalue())
    findings = find(ran.trace)
    explained = any(finding.severity == "error" for finding in findings)
    if ran.exit_code != 0 and not explained:
        said = output.getvalue().strip().splitlines()
        last = said[-1] if said else ""
        return findings, say("check.ended", code=ran.exit_code, last=last)
    return findings, None


def _refused(name: str, said: str) -> UserError:
    """A usage error of the script, in the words of argparse or of the lab."""
    lines = said.strip().splitlines() or ["exit code 2"]
    line = next((each for each in lines if "error: " in each), lines[-1])
    return UserError(
        message("usage.its_arguments", name=name, why=line.rpartition("error: ")[2]),
        message("usage.help.lists_them", command=f"graphlab run {name} -- --help"),
    )

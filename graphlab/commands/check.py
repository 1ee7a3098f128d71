"""graphlab check: every scenario, or every file with a header, against its own expectation."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from graphlab.catalogue import Expectation, Scenario, read, scenario, scenarios
from graphlab.commands.report import check_format
from graphlab.errors import UserError
from graphlab.trace.finding import Finding

# Enough iterations for every finding of the scenarios to show.
STEPS = ("--steps", "8")
OPTIMIZERS = ("adam", "adam-fused", "sgd")


def check(names: list[str], arguments: list[str], form: str = "text") -> int:
    """Returns 0 when all meet their expectation, 1 otherwise. Where one does not, its findings are
    printed as well if `form` is another than text."""
    check_format(form)
    chosen = [_choose(name) for name in names] if names else [(s, True) for s in scenarios()]
    for each, _ in chosen:
        if not each.expectations:
            raise UserError(
                f"{each.path} has no expect line",
                "add to its docstring a line such as: expect: GL001 at `loss.backward()`",
            )
    from rich.text import Text

    from graphlab.output import streams
    from graphlab.views.console import stdout
    from graphlab.views.machine import lines

    console = stdout()
    failed = total = 0
    width = max(len(each.name) for each, _ in chosen)
    for each, own in chosen:
        for optimizer in _variants(own, arguments):
            expected = each.expected(optimizer)
            if expected is None:
                continue
            total += 1
            findings, problem = _observe(each, optimizer, own, arguments)
            wrong = problem or mismatch(expected, findings)
            failed += wrong is not None
            label = optimizer or _given(arguments) or ""
            line = Text.assemble(
                ("✗ ", "red") if wrong else ("✓ ", "green"), f"{each.name:<{width}}  ",
                (f"{label:<10}  ", "dim"), str(expected) if wrong is None else f"{wrong}",
                overflow="fold",
            )  # fmt: skip
            console.print(line)
            if wrong is not None and form != "text":
                for told in lines.render(findings, form, os.getcwd()):
                    streams.line(told, streams.out())
    met = total - failed
    console.print(f"{met} of {total} met their expectation", style="bold")
    return 1 if failed else 0


def _choose(name: str) -> tuple[Scenario, bool]:
    if name.endswith(".py") or os.sep in name:
        path = Path(name)
        return read(path), folder_of(path)
    return scenario(name), True


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
        return findings, f"ended with exit code {ran.exit_code}: {said[-1] if said else ''}"
    return findings, None


def _refused(name: str, said: str) -> UserError:
    """A usage error of the script, in the words of argparse or of the lab."""
    lines = said.strip().splitlines() or ["exit code 2"]
    line = next((each for each in lines if "error: " in each), lines[-1])
    return UserError(
        f"{name} refuses its arguments: {line.rpartition('error: ')[2]}",
        f"graphlab run {name} -- --help lists them",
    )


def mismatch(expected: Expectation, findings: list[Finding]) -> str | None:
    """What is wrong, or None. Infos never count; any other finding must be the expected one."""
    counted = [finding for finding in findings if finding.severity != "info"]
    seen = ", ".join(_describe(finding) for finding in counted) or "clean"
    if expected.code is None:
        return f"expected clean, found {seen}" if counted else None
    if any(finding.code != expected.code for finding in counted):
        return f"expected {expected}, found {seen}"
    for finding in counted:
        call = finding.failed.what if finding.failed is not None else None
        right = call == expected.call and expected.iteration in (None, finding.iteration)
        if right:
            return None
    return f"expected {expected}, found {seen}"


def _describe(finding: Finding) -> str:
    at = f" at {finding.failed.what}" if finding.failed is not None else ""
    moment = f" in iteration {finding.iteration}" if finding.iteration is not None else ""
    return f"{finding.code}{at}{moment}"

"""A rule is one file; whatever else lists the rules says the same as these files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from graphlab import rules
from graphlab.commands import list as listing
from graphlab.rules import pages, registry
from graphlab.rules.registry import RULES, find
from graphlab.rules.rule import Rule
from graphlab.trace.model import Trace
from tests.rules.build import Script

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(rules.__file__).parent
CODES = [rule.code for rule in RULES]


def test_each_file_is_a_rule_of_that_name() -> None:
    names = [f"{rule.code.lower()}_{rule.name.replace('-', '_')}" for rule in RULES]
    assert names == sorted(path.stem for path in FOLDER.glob("gl[0-9]*.py"))
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=CODES)
def test_its_code_stands_once(rule: Rule) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.py")}
    told = {name: text.count(f'"{rule.code}"') for name, text in texts.items()}
    own = Path(rule.check.__code__.co_filename).name
    assert {name: count for name, count in told.items() if count} == {own: 1}


@pytest.mark.parametrize("rule", RULES, ids=CODES)
def test_its_file_begins_with_what_it_finds(rule: Rule) -> None:
    first = Path(rule.check.__code__.co_filename).read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r'"""[A-Z].{20,}\."""', first), first
    # Above it stands the code, in the file's name.
    assert rule.code not in first


@pytest.mark.parametrize("rule", RULES, ids=CODES)
def test_a_trace_in_which_nothing_happened_is_nothing_to_it(rule: Rule) -> None:
    empty: Trace = Script("").trace()
    assert list(rule.check(empty)) == []


def test_every_rule_has_its_page_and_every_page_its_rule() -> None:
    assert sorted(path.stem for path in pages.folder().glob("*.md")) == CODES
    for rule in RULES:
        assert pages.page(rule.code).startswith(f"# {rule.code} {rule.name}\n")
        assert pages.summary(rule.code).endswith(".")
        assert pages.why(rule.code).endswith(".")


def test_the_readmes_table_has_every_rule_with_its_severity() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (GL\d{3}) \| (\(info\))?", readme, re.MULTILINE)
    assert rows == [(rule.code, "(info)" if rule.severity == "info" else "") for rule in RULES]


def test_the_list_has_every_rule_with_its_severity() -> None:
    out = io.StringIO()
    listing.rules(Console(file=out, width=80))
    rows = re.findall(r"^(GL\d{3}) +(\w+) ", out.getvalue(), re.MULTILINE)
    assert rows == [(rule.code, rule.severity) for rule in RULES]


def test_errors_are_what_pytorch_raises() -> None:
    """The README says which codes those are."""
    for rule in RULES:
        raised = rule.code < "GL100" or rule.code in ("GL305", "GL306", "GL307", "GL316")
        assert (rule.severity == "error") == raised, rule.code


def test_an_edit_that_fails_takes_no_finding_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair reads the source, which may be such as nobody has thought of."""
    told: list[bool] = []

    def check(trace: Trace) -> list[Any]:
        told.append(bool(trace.sources))
        if trace.sources:
            raise IndexError("in an edit")
        return ["told"]

    monkeypatch.setattr(registry, "RULES", (Rule("GL000", "backward-failed", "error", check),))  # type: ignore[arg-type]
    monkeypatch.setattr(registry, "STRICT", False)
    assert find(Script("x = 1\n").trace()) == ["told"]
    assert told == [True, False]

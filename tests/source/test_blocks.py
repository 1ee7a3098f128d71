"""The user's statements, what flows between them, and edits of whole lines."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from graphlab.source.blocks import (
    Block,
    DependentVariables,
    Edit,
    StatementInScope,
    bound_names,
    read_names,
)
from graphlab.trace.model import Environment, Location, Trace
from tests.source.written import statement

GAN = """\
for x in data:
    fake = G(z)
    score = D(fake)
    d_loss = score.mean()
    d_loss.backward()
    optimizer.step()
    g_loss = -score.sum()
    g_loss.backward()
"""


def test_the_innermost_list_that_holds_both_lines() -> None:
    source = "if a:\n    b = 1\n    c = 2\nelse:\n    d = 3\ne = 4\n"
    assert [each.lineno for each in Block(source, "f.py", 2, 3).statements] == [2, 3]
    assert [each.lineno for each in Block(source, "f.py", 5, 5).statements] == [5]
    assert [each.lineno for each in Block(source, "f.py", 2, 5).statements] == [1, 6]
    assert [each.lineno for each in Block(source, "f.py", 2, 6).statements] == [1, 6]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    a = 1\n    b = 2\nfinally:\n    pass\n",
        "try:\n    pass\nexcept E:\n    a = 1\n    b = 2\n",
        "match x:\n    case 1:\n        a = 1\n        b = 2\n",
        "while x:\n    pass\nelse:\n    a = 1\n    b = 2\n",
        "@one\ndef f():\n    a = 1\n    b = 2\n",
    ],
)
def test_lists_of_every_kind_of_statement(source: str) -> None:
    at = source.splitlines().index(next(x for x in source.splitlines() if "a = 1" in x)) + 1
    block = Block(source, "f.py", at, at + 1)
    assert [block.text(each).strip() for each in block.statements] == ["a = 1", "b = 2"]
    assert block.index(at + 1) == 1 and block.index(99) is None


@pytest.mark.parametrize("source", ["a = 1; b = 2\n", "def f(:\n"])
def test_no_line_is_moved_that_holds_two_statements_or_cannot_be_read(source: str) -> None:
    assert Block(source, "f.py", 1, 1).statements == []


def test_edits_are_one_replacement_with_what_stands_between() -> None:
    block = Block("a\nb\nc\nd\ne\n", "f.py", 1, 5)
    help = block.help("say", [Edit(4, 4, "D\n"), Edit(2, 1, "new\n")])
    assert (help.before, help.after, help.file, help.line) == (
        "b\nc\nd\n",
        "new\nb\nc\nD\n",
        "f.py",
        2,
    )
    assert block.help("", [Edit(3, 3, "")]).after == ""


@pytest.mark.parametrize(
    ("line", "stores", "loads"),
    [
        ("x = f(y.z)", {"x"}, {"f", "y", "y.z"}),
        ("x.a.b = y", {"x.a.b"}, {"x", "x.a", "y"}),
        ("x += 1", {"x"}, set()),
        ("a, b = c", {"a", "b"}, {"c"}),
        ("f(x)[0] = y", set(), {"f", "x", "y"}),
        ("for i in n: s = i", {"i", "s"}, {"n", "i"}),
    ],
)
def test_names_that_a_statement_binds_and_reads(
    line: str, stores: set[str], loads: set[str]
) -> None:
    assert bound_names(statement(line)) == stores
    assert read_names(statement(line)) == loads


def test_what_rests_on_a_line_is_computed_again_where_it_is_needed() -> None:
    block = Block(GAN, "f.py", 2, 8)
    flow = DependentVariables(block, {2}, until=4)
    assert flow.origin == {"fake": 0, "score": 1, "d_loss": 2} and flow.simple
    assert flow.recompute(5, 6) == [(5, ["fake", "score"])]
    assert [block.text(each).strip() for each in flow.statements(["score", "fake"])] == [
        "fake = G(z)", "score = D(fake)",
    ]  # fmt: skip


def test_what_is_bound_anew_rests_on_the_line_no_more() -> None:
    block = Block("a = f(w)\nb = a\na = 0\nc = a + b\n", "f.py", 1, 4)
    assert DependentVariables(block, {1}, until=2).origin == {"b": 1}
    assert DependentVariables(block, {1}, until=3).origin == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    "line", ["b += a", "for b in a: pass", "b = a.sample()", "b, r = env.step(a)", "b = next(a)"]
)
def test_what_cannot_be_written_again_as_it_stands_is_not_simple(line: str) -> None:
    assert not DependentVariables(Block(f"a = f(w)\n{line}\n", "f.py", 1, 2), {1}, until=1).simple


def standing(source: str, code: str) -> StatementInScope | None:
    """The statement in whose line `code` stands."""
    lines = source.splitlines()
    number = next(at for at, line in enumerate(lines, 1) if code in line)
    made: dict[str, Any] = {"tensors": (), "optimizers": (), "events": (), "iterations": 1}
    where = Environment("3.11.7", "2.13.0", "cpu", None, "0.1.0")
    trace = Trace("f.py", "completed", where, sources={"f.py": source}, **made)
    return StatementInScope.of(trace, Location("f.py", number, 1, number, 2, "f", code, 0))


def test_a_statement_and_the_function_around_it() -> None:
    here = standing("def f(x):\n    if x:\n        y = 1\n        z = 2\n    return x\n", "y = 1")
    assert here is not None and isinstance(here.scope, ast.FunctionDef)
    assert [here.text(each) for each in here.following()] == ["z = 2"]
    help = here.help("say", "y = 2", "w = 3")
    assert (help.before, help.after) == ("        y = 1\n", "        y = 2\n        w = 3\n")


def test_what_stands_behind_a_statement_on_its_line_stays() -> None:
    here = standing("x.add_(1)  # why\n", "x.add_(1)")
    assert here is not None and here.help("", "x = x.add(1)").after == "x = x.add(1)  # why\n"


@pytest.mark.parametrize("source", ["a(); b()\n", "if x: b()\n", "def f(:\n    b()\n", "# b()\n"])
def test_a_statement_that_shares_its_line_is_left_alone(source: str) -> None:
    assert standing(source, "b()") is None


@pytest.mark.parametrize(
    ("source", "rebinds"),
    [
        ("x = f()\nx.add_(1)\ng(x)\n", True),
        ("x = f()\nx.add_(1)\n", False),
        ("x = net.weight\nx.add_(1)\ng(x)\n", False),
        ("x = xs[0]\nx.add_(1)\ng(x)\n", False),
        ("for x in xs:\n    x.add_(1)\n    g(x)\n", False),
        ("def f(x):\n    x.add_(1)\n    return x\n", True),
        ("def f():\n    x.add_(1)\n    return x\n", False),
        ("x = f()\nfor i in n:\n    g(x)\n    x.add_(1)\n", True),
        ("for i in n:\n    x = f()\n    x.add_(1)\n", False),
        ("self.x.add_(1)\n", True),
        ("xs[0].add_(1)\n", True),
        ("f().add_(1)\n", False),
    ],
)
def test_whether_binding_anew_reaches_all_who_look(source: str, rebinds: bool) -> None:
    here = standing(source, ".add_(1)")
    assert here is not None and isinstance(here.statement, ast.Expr)
    call = here.statement.value
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    assert here.may_rebind(call.func.value) is rebinds


@pytest.mark.parametrize(
    ("source", "again"),
    [
        ("for x in xs:\n    h, c = cell(x, (h, c))\n    h[0] = 0\n", True),
        ("for x in xs:\n    h = make(x)\n    h[0] = 0\n", False),
        ("for h in hs:\n    h[0] = 0\n", False),
        ("while go:\n    use(h)\n    h = make()\n    h[0] = 0\n", True),
    ],
)
def test_the_next_turn_reads_a_name_that_it_has_not_bound_yet(source: str, again: bool) -> None:
    line = next(at for at, each in enumerate(source.splitlines(), 1) if "h[0]" in each)
    at = Location("f.py", line, 5, line, 13, "<module>", "h[0] = 0", 4)
    trace = Trace("f.py", "completed", Environment("", "", "", None, ""), sources={"f.py": source})
    here = StatementInScope.of(trace, at)
    assert here is not None and here.used_later("h") is again


def test_what_is_told_as_a_number_is_not_computed_again() -> None:
    source = "fake = G(z)\nd = D(fake)\nd.backward()\n"
    told = "if turn % 2:\n    D(fake).backward()\n    print(d.item(), float(d))\n"
    block = Block(source + told, "f.py", 1, 4)
    assert DependentVariables(block, {1}, until=2).recompute(3, 3) == [(3, ["fake"])]
    more = Block(source + told.replace("float(d)", "d"), "f.py", 1, 4)
    assert DependentVariables(more, {1}, until=2).recompute(3, 3) == [(3, ["fake", "d"])]

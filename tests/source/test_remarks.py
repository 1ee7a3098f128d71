"""Comments for whoever shows a script: which there are, and which line each is about."""

from __future__ import annotations

import pytest

from graphlab.source.remarks import Remark, remarks


def test_a_remark_is_about_its_line_or_else_about_the_next_with_code() -> None:
    source = (
        "x = 1  # graphlab: note one stays one\n"
        "# graphlab: ask what is y?\n"
        "# an ordinary comment\n"
        "\n"
        "if x:\n"
        "    # graphlab: hide\n"
        "    y = 2\n"
    )
    assert remarks(source) == [
        Remark("note", "one stays one", 1, 1),
        Remark("ask", "what is y?", 5, 2),
        Remark("hide", "", 7, 6),
    ]


def test_a_comment_after_a_statement_of_several_lines_is_about_its_last() -> None:
    source = "f(\n    1,\n)  # graphlab: note called\n"
    assert remarks(source) == [Remark("note", "called", 3, 3)]


@pytest.mark.parametrize(
    "source",
    [
        "x = '# graphlab: note in a string'\n",
        "x = 1  # graphlab: later a word of another version\n",
        "x = 1  # graphlab note\n",
        "x = (  # graphlab: note an unfinished line\n",
        "# graphlab: note nothing follows\n",
        "'''\n# graphlab: hide\n'''\n",
    ],
)
def test_what_is_no_remark(source: str) -> None:
    assert remarks(source) == []


def test_two_remarks_on_one_line_keep_their_order() -> None:
    source = "# graphlab: ask a?\n# graphlab: note b\nx = 1\n"
    assert [each.kind for each in remarks(source)] == ["ask", "note"]

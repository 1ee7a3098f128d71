"""Streams of our own: where they lead, and the characters that they have."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from graphlab.output import streams
from graphlab.trace.model import Location
from graphlab.views import console
from graphlab.views.terminal import source_line as source


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8", "shift-jis"])
def test_what_a_stream_lacks_is_as_wide(encoding: str) -> None:
    text = "✗ ✓ ■ │ ━─ → … × − – — · ⋮ ① ⏎ ␣ ≤ ░█ • é π 変 \udcff"
    fitted = streams.fitted(text, stream(encoding))
    fitted.encode(encoding)
    assert cell_len(fitted) == cell_len(text)
    assert streams.fitted(fitted, stream(encoding)) == fitted


def test_a_stream_without_an_encoding_has_them_all() -> None:
    assert streams.fitted("✗ │", io.StringIO()) == "✗ │"
    assert streams.fitted("✗ │", object()) == "✗ │"


def test_carets_stay_under_what_they_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "größe = 変数 + π"
    at = Location("f.py", 3, code.index("π") + 1, 3, len(code) + 1, "f", code, 0)
    out = stream("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    console.emit(console.stdout(), Text("\n").join(source.annotated(at, "here", "", 80, "red")))
    out.flush()
    line, carets = out.buffer.getvalue().decode("ascii").splitlines()  # type: ignore[attr-defined]
    assert line.endswith("| gr??e = ???? + ?")
    assert line.index("+ ?") + 2 == carets.index("^")


OWN = """
import sys
sys.path.insert(0, {root!r})
from graphlab.output import streams
with streams.held():
    print("the program's")
    sys.stdout.flush()
    {harm}
    streams.out().write("ours ✓\\n")
"""


@pytest.mark.parametrize(
    "harm",
    ["sys.stdout.close()", "sys.stdout = None", "del sys.stdout", "sys.stdout.detach()",
     "sys.stdout = open('elsewhere', 'w')", "import os; os.close(1)"],
)  # fmt: skip
def test_a_stream_of_our_own_leads_to_where_stdout_led(tmp_path: Path, harm: str) -> None:
    root = str(Path(streams.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", OWN.format(root=root, harm=harm)], cwd=tmp_path, text=True,
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.stdout == "the program's\nours +\n", done.stderr


def test_someone_elses_stream_is_written_to_and_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    class Writer:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    writer = Writer()
    monkeypatch.setattr(sys, "stdout", writer)
    with streams.held():
        monkeypatch.setattr(sys, "stdout", None)
        console.emit(console.stdout(), "a report")
        streams.line("a\nline\x1b", streams.out())
    assert writer.text == "a report\na\\nline\\x1b\n"


def test_without_a_stream_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    console.emit(console.stdout(), "a report")
    with streams.held():
        console.emit(console.stdout(), "a report")
        streams.document(b"a document")


def test_a_document_is_the_bytes_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    out = stream("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    streams.document("✓\n")
    assert out.buffer.getvalue() == "✓\n".encode()  # type: ignore[attr-defined]
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    streams.document("✓\n")
    assert text.getvalue() == "✓\n"

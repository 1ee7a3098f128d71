"""What a trial answers, as it is written and read again."""

from __future__ import annotations

from pathlib import Path

from graphlab.fix.job import Answer
from graphlab.language import key_of, message


def test_why_a_target_was_refused_can_be_told_in_the_language_of_the_command(
    tmp_path: Path,
) -> None:
    path = tmp_path / "answer.json"
    refused = (message("usage.no_file", path="x.py"), message("usage.help.path"))
    Answer(refused=refused, exit_code=2).write(str(path))
    read = Answer.loads(path.read_text(encoding="utf-8")).refused
    assert read == refused
    assert [key_of(each) for each in read or ()] == ["usage.no_file", "usage.help.path"]

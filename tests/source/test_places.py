"""Places in the user's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphlab.source.places import locate


def test_like_functions_of_two_files_keep_their_own_file(tmp_path: Path) -> None:
    found = []
    for name in ("one.py", "two.py"):
        path = tmp_path / name
        path.write_text("def f(x):\n    return x + 1\n")
        space: dict[str, Any] = {}
        exec(compile(path.read_text(), str(path), "exec"), space)
        found.append(locate(space["f"].__code__, 0).file)
    assert found == [str(tmp_path / "one.py"), str(tmp_path / "two.py")]

"""By whatever way a program comes to an edited file, it gets the edited text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Each way prints what it read as `VALUE`.
WAYS = """
import sys
from graphlab.fix import overlay
folder = sys.argv[1]
sys.path.insert(0, folder)
overlay.serve({f"{folder}/package/inner.py": b"VALUE = 'edited'\\nline = 1\\n"})

import importlib.util, inspect, linecache, runpy, tokenize
from pathlib import Path
file = f"{folder}/package/inner.py"
import package.inner
print("import", package.inner.VALUE)
import package.outer
print("relative", package.outer.VALUE)
spec = importlib.util.spec_from_file_location("by_path", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print("spec", module.VALUE)
print("run_path", runpy.run_path(file)["VALUE"])
print("run_module", runpy.run_module("package.inner")["VALUE"])
print("open", open(file).read().split("'")[1])
print("pathlib", Path(file).read_bytes().decode().split("'")[1])
print("linecache", linecache.getline(file, 1).split("'")[1])
print("inspect", inspect.getsource(module).split("'")[1])
print("link", open(f"{folder}/link.py").read().split("'")[1])
with open(f"{folder}/written.py", "w") as out:
    out.write("x")
print("others", open(f"{folder}/package/outer.py").read().strip()[:4])
"""


def test_every_way_to_a_file_leads_to_the_edited_text(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("VALUE = 'on disk'\n")
    (package / "outer.py").write_text("from .inner import VALUE\n")
    (tmp_path / "link.py").symlink_to(package / "inner.py")
    # Bytecode of the file on disk, which an import would take.
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)
    before = {path: path.read_bytes() for path in sorted(package.rglob("*")) if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WAYS, str(tmp_path)], capture_output=True, text=True
    )
    told = dict(line.split() for line in done.stdout.splitlines())
    assert done.stderr == "" and told.pop("others") == "from"
    assert len(told) == 10 and set(told.values()) == {"edited"}
    after = {path: path.read_bytes() for path in sorted(package.rglob("*")) if path.is_file()}
    assert after == before

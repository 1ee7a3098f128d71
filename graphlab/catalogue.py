"""Lists the scenarios and reads their headers, without running them or importing torch."""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphlab import language
from graphlab.errors import UserError
from graphlab.language import message
from graphlab.language.lists import suggestion

_HERE = Path(__file__).resolve().parent


_EXPECT = re.compile(
    r"^expect(?:\[(?P<optimizer>[\w-]+)\])?:\s*"
    r"(?:(?P<clean>clean)|(?P<code>GL\d{3}) at (?:`(?P<call>[^`]+)`|no call)"
    r"(?: in iteration (?P<iteration>\d+))?)\s*$"
)


_POST = (
    "naive", "detach-as-printed", "detach", "recompute-as-printed", "recompute",
    "joint-as-printed", "joint", "joint-one-to-one", "joint-isolated", "naive-fused",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expectation:
    """The finding that a run of a scenario must have; `code` is None if it must have none, `call`
    if the finding names no call that failed."""

    code: str | None
    call: str | None = None
    iteration: int | None = None

    def __str__(self) -> str:
        if self.code is None:
            return "clean"
        moment = f" in iteration {self.iteration}" if self.iteration is not None else ""
        return f"{self.code} at {self.call or 'no call'}{moment}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario and its header. `expectations` are by optimizer class; the key None stands for all
    optimizers that are not listed."""

    name: str
    path: Path
    title: str
    lesson: str
    expectations: dict[str | None, Expectation]
    repaired_by: tuple[str, ...]
    # As how many processes it is meant to run.
    ranks: int = 1

    def expected(self, optimizer: str | None) -> Expectation | None:
        """What a run with this optimizer must find; None if the header does not say."""
        return self.expectations.get(optimizer, self.expectations.get(None))

    @property
    def shows(self) -> str:
        """What it shows, in the current language: the second part of its title."""
        written = self.title.partition(": ")[2] or self.title
        return language.catalogue(language.current()).get(f"list.scenario.{self.name}", written)


def folder() -> Path:
    """The scenarios' folder: next to the package in a checkout, inside it when installed."""
    inside = _HERE / "scenarios"
    return inside if inside.is_dir() else _HERE.parent / "scenarios"


def scenarios() -> list[Scenario]:
    """Every scenario: the loops of the post in its order, then the others by name."""
    paths = [path for path in sorted(folder().rglob("*.py")) if path.name[0] not in "_."]
    order = {name: at for at, name in enumerate(_POST)}
    return sorted(map(read, paths), key=lambda each: (order.get(each.name, len(order)), each.name))


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises UserError with the nearest name when there is none."""
    known = {each.name: each for each in scenarios()}
    if name in known:
        return known[name]
    raise UserError(message("usage.no_scenario", name=repr(name)), suggestion(name, list(known)))


def read(path: Path) -> Scenario:
    """A script's header: title, lesson and expectations.

    Raises:
        UserError: when the file cannot be read or does not parse.
    """
    doc = docstring(path)
    title, *rest = doc.splitlines() or [""]
    expectations: dict[str | None, Expectation] = {}
    repaired: tuple[str, ...] = ()
    ranks = 1
    lesson = []
    for line in rest:
        match = _EXPECT.match(line.strip())
        if match:
            iteration = match["iteration"]
            expectations[match["optimizer"]] = Expectation(
                match["code"], match["call"], int(iteration) if iteration else None
            )
        elif re.match(r"\s*expect(\[.*?\])?:", line):
            raise UserError(
                message("usage.bad_expect", path=str(path), line=line.strip()),
                message("usage.help.write_expect"),
            )
        elif line.startswith("repaired by:"):
            repaired = tuple(re.findall(r"[\w-]+", line.partition(":")[2]))
        elif number := re.fullmatch(r"ranks: ([1-9]\d?)", line.strip()):
            ranks = int(number[1])
        else:
            lesson.append(line)
    name = path.stem.replace("_", "-")
    return Scenario(name, path, title, "\n".join(lesson).strip(), expectations, repaired, ranks)


def docstring(path: Path) -> str:
    """The docstring of a script, or "". Raises UserError if it cannot be read or parsed."""
    with compiling(str(path), f"python {path}"), warnings.catch_warnings():
        # Python gives the same warnings again when it runs the file.
        warnings.simplefilter("ignore")
        return ast.get_docstring(ast.parse(read_source(str(path)))) or ""


def read_source(path: str) -> bytes:
    """The content of a file. Raises UserError if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(
            message("usage.no_file", path=str(path)), message("usage.help.path")
        ) from None
    except OSError as error:
        raise UserError(
            message("usage.cannot_read", path=str(path), why=str(error.strerror)),
            message("usage.help.path"),
        ) from None
    except ValueError as error:
        raise UserError(
            message("usage.cannot_read", path=str(path), why=str(error)), message("usage.help.path")
        ) from None


@contextlib.contextmanager
def compiling(path: str, command: str) -> Iterator[None]:
    """Turns errors of Python's compiler inside the block into a UserError about `path`, which names
    `command` as the way to see the whole error."""
    try:
        yield
    except (RecursionError, MemoryError):
        raise UserError(
            message("usage.too_deep", path=path),
            message("usage.help.run_to_fail", command=command),
        ) from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line} of {path}" if line else str(path)
        raise UserError(
            message("usage.not_python", where=where, why=str(getattr(error, "msg", error))),
            message("usage.help.run_to_see", command=command),
        ) from None

"""The options of `graphlab render`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphlab.api.figure import chosen_format
from graphlab.errors import UserError
from graphlab.language.lists import suggestion

# The longest time that a layout may be given, in seconds.
DAY = 86400


@dataclass(frozen=True, slots=True)
class Choice:
    """The options of `graphlab render`; `timeout` is in seconds."""

    output: str | None = None
    format: str | None = None
    level: str = "overview"
    color: str = "owner"
    theme: str = "light"
    depth: int | None = None
    at: int | None = None
    before: str | None = None
    loss: tuple[str, ...] = ()
    style: str = "graphlab"
    timeout: float = 20.0
    force: bool = False
    steps: str | None = None
    # Whether the process ends with this command.
    last: bool = False


def destination(name: str, choice: Choice) -> tuple[str, str | None]:
    """(format, file). The file is None for text, which goes to the terminal."""
    suffix = Path(choice.output or "").suffix.lower()
    if choice.format == "html" or (choice.format is None and suffix == ".html"):
        return "html", choice.output or f"{name}.html"
    form = chosen_format(choice.output, choice.format)
    if choice.output is not None:
        return form, choice.output
    return form, None if form == "text" else f"{name}.{form}"


def check(choice: Choice) -> None:
    """Refuse unknown values, and options that would have no effect.

    Raises:
        UserError: for the first of them.
    """
    from graphlab.views.figure.colors import OVERLAYS, THEMES
    from graphlab.views.figure.picture import LEVELS

    for option, value, known in (
        ("--level", choice.level, LEVELS),
        ("--color", choice.color, OVERLAYS),
        ("--theme", choice.theme, tuple(THEMES)),
        ("--style", choice.style, ("graphlab", "torchviz")),
    ):
        if value not in known:
            near = suggestion(value, list(known), f"{option} takes {', '.join(known)}")
            raise UserError(f"invalid value {value!r} for {option}", near)
    # Written so that a NaN is refused too.
    if not 0 < choice.timeout <= DAY:
        raise UserError(
            f"invalid value {choice.timeout:g} for --timeout", f"give seconds, up to {DAY}"
        )
    if choice.depth is not None and choice.level != "module":
        raise UserError(f"--depth has no effect at level {choice.level}", "add --level module")


def check_player(
    choice: Choice, saved: bool, what: str = "the player", theme: bool = False
) -> None:
    """Refuse options that have no effect on the player, or on `what`, which may have a `theme`."""
    _refuse_changed(
        choice,
        what,
        "or write a figure: -o FILE.svg",
        {
            "level": "it shows every level",
            "depth": "it shows every level",
            "color": "its colours show the owners",
            **({} if theme else {"theme": "it follows the reader's colour scheme"}),
            "loss": "it plays the whole iteration",
            "style": "it draws graphlab's own graph",
        },
    )
    if saved and (choice.at is not None or choice.before is not None):
        raise UserError(
            "--at and --before need a run, and a saved trace holds one iteration",
            "remove them, or name the program instead of the file",
        )


def check_figure(choice: Choice, form: str, saved: bool) -> None:
    """Refuse options that have no effect on a figure of that format, or of a saved graph."""
    if saved and (choice.at is not None or choice.before is not None):
        raise UserError(
            "--at and --before need a run, and a saved graph holds one moment",
            "remove them, or name the program instead of the file",
        )
    if choice.style == "torchviz":
        if saved:
            raise UserError("torchviz cannot draw a saved graph", "remove --style torchviz")
        if form in ("json", "text"):
            raise UserError(f"torchviz cannot write {form}", "name an SVG, PNG, PDF or DOT file")
        own = "torchviz has a style of its own"
        _refuse_changed(
            choice,
            "--style torchviz",
            "or remove --style",
            {name: own for name in ("level", "depth", "color", "theme", "loss")},
        )


def _refuse_changed(choice: Choice, what: str, instead: str, whys: dict[str, str]) -> None:
    plain = Choice()
    for name, why in whys.items():
        if getattr(choice, name) != getattr(plain, name):
            raise UserError(
                f"--{name} has no effect on {what}: {why}", f"remove --{name}, {instead}"
            )

"""What the command line of `graphlab render` asked for, and what of it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphlab.api.figure import chosen_format
from graphlab.errors import UserError
from graphlab.text import suggestion

# The longest time that a layout may be given, in seconds.
DAY = 86400


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line asked for."""

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
    # Whether the process ends with this command.
    last: bool = False


def destination(name: str, choice: Choice) -> tuple[str, str | None]:
    """(format, file), None for a text that only goes to the terminal."""
    suffix = Path(choice.output or "").suffix.lower()
    if choice.format == "html" or (choice.format is None and suffix == ".html"):
        return "html", choice.output or f"{name}.html"
    form = chosen_format(choice.output, choice.format)
    if choice.output is not None:
        return form, choice.output
    return form, None if form == "text" else f"{name}.{form}"


def check(choice: Choice) -> None:
    """Refuse what there is none of, and options that would not be heeded.

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
            raise UserError(f"{option} has no {value}", near)
    # Written so that a NaN is refused too.
    if not 0 < choice.timeout <= DAY:
        raise UserError(
            f"--timeout {choice.timeout:g} is no time to wait", "give it seconds, 20 say"
        )
    if choice.depth is not None and choice.level != "module":
        raise UserError(
            f"--depth counts modules, and level {choice.level} folds none", "add --level module"
        )


def check_player(choice: Choice, saved: bool) -> None:
    """Refuse what the player would not heed."""
    _refuse_changed(
        choice,
        "the player",
        "or write a figure: -o FILE.svg",
        {
            "level": "it has all its levels at a click",
            "depth": "it has all its levels at a click",
            "color": "its colours are those of the owners",
            "theme": "it is as light or dark as its reader's screen",
            "loss": "it plays the whole iteration",
            "style": "its graph is graphlab's own",
        },
    )
    if saved and (choice.at is not None or choice.before is not None):
        raise UserError(
            "--at and --before choose from a run, and a saved trace has one iteration",
            "leave them out, or name the program instead of the file",
        )


def check_figure(choice: Choice, form: str, saved: bool) -> None:
    """Refuse what a figure of that format, or one of a saved graph, would not heed."""
    if saved and (choice.at is not None or choice.before is not None):
        raise UserError(
            "--at and --before choose from a run, and a saved graph is of one moment",
            "leave them out, or name the program instead of the file",
        )
    if choice.style == "torchviz":
        if saved:
            raise UserError("torchviz draws a loss, and a saved graph has none", "leave it out")
        if form in ("json", "text"):
            raise UserError(f"torchviz makes no {form}", "name an SVG, PNG, PDF or DOT file")
        own = "torchviz draws in its own way"
        _refuse_changed(
            choice,
            "--style torchviz",
            "or leave --style out",
            {name: own for name in ("level", "depth", "color", "theme", "loss")},
        )


def _refuse_changed(choice: Choice, what: str, instead: str, whys: dict[str, str]) -> None:
    plain = Choice()
    for name, why in whys.items():
        if getattr(choice, name) != getattr(plain, name):
            raise UserError(f"--{name} is not for {what}: {why}", f"leave --{name} out, {instead}")

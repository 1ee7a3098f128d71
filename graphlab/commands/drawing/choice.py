"""The options of `graphlab render`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphlab.api.figure import chosen_format
from graphlab.errors import UserError
from graphlab.language import message
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
            takes = message("usage.takes", option=option, values=[*known])
            invalid = message("usage.invalid", value=repr(value), option=option)
            raise UserError(invalid, suggestion(value, [*known], takes))
    # Written so that a NaN is refused too.
    if not 0 < choice.timeout <= DAY:
        raise UserError(
            message("usage.invalid", value=f"{choice.timeout:g}", option="--timeout"),
            message("usage.draw.seconds", most=DAY),
        )
    if choice.depth is not None and choice.level != "module":
        raise UserError(
            message("usage.draw.depth", level=choice.level), message("usage.draw.add_level")
        )


def check_player(choice: Choice, saved: bool, what: str = "", theme: bool = False) -> None:
    """Refuse options that have no effect on the player, or on `what`, which may have a `theme`."""
    _refuse_changed(
        choice,
        what or message("usage.draw.player"),
        message("usage.draw.or_figure"),
        {
            "level": message("usage.draw.every_level"),
            "depth": message("usage.draw.every_level"),
            "color": message("usage.draw.owners"),
            **({} if theme else {"theme": message("usage.draw.readers_theme")}),
            "loss": message("usage.draw.whole_iteration"),
            "style": message("usage.draw.own_graph"),
        },
    )
    if saved and (choice.at is not None or choice.before is not None):
        raise UserError(message("usage.draw.one_iteration"), message("usage.draw.name_program"))


def check_figure(choice: Choice, form: str, saved: bool) -> None:
    """Refuse options that have no effect on a figure of that format, or of a saved graph."""
    if saved and (choice.at is not None or choice.before is not None):
        raise UserError(message("usage.draw.one_moment"), message("usage.draw.name_program"))
    if choice.style == "torchviz":
        if saved:
            raise UserError(
                message("usage.draw.torchviz_saved"),
                message("usage.help.remove", word="--style torchviz"),
            )
        if form in ("json", "text"):
            raise UserError(
                message("usage.draw.torchviz_form", form=form), message("usage.draw.pictures")
            )
        own = message("usage.draw.torchviz_own")
        _refuse_changed(
            choice,
            "--style torchviz",
            message("usage.draw.or_style"),
            {name: own for name in ("level", "depth", "color", "theme", "loss")},
        )


def _refuse_changed(choice: Choice, what: str, instead: str, whys: dict[str, str]) -> None:
    plain = Choice()
    for name, why in whys.items():
        if getattr(choice, name) != getattr(plain, name):
            raise UserError(
                message("usage.draw.no_effect", option=f"--{name}", what=what, why=why),
                message("usage.draw.remove_or", option=f"--{name}", instead=instead),
            )

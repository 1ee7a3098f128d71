"""What --help prints: texts of the catalogue, by the names of a verb and of its parameters."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from graphlab.errors import UserError
from graphlab.language import catalogue, message, say
from graphlab.language.lists import suggestion

_MARGIN = 2


class _Told:
    """A command whose help is told in the language that was chosen."""

    def get_params(self: Any, ctx: Any) -> list[Any]:
        found = super().get_params(ctx)  # pyright: ignore[reportAttributeAccessIssue]
        for each in found:
            # What is eager is read first, in the order in which it stands: --help before the
            # --lang that follows it.
            if each.name == "help":
                each.is_eager = False
        return found

    def get_help(self: Any, ctx: Any) -> str:
        width = ctx.make_formatter().width
        area = _area(ctx)
        shown = [each for each in self.get_params(ctx) if not getattr(each, "hidden", False)]
        arguments = [each for each in shown if each.param_type_name == "argument"]
        options = [each for each in shown if each.param_type_name == "option"]
        verbs = getattr(self, "commands", {})
        usage = ["[OPTIONS]", *map(_place, arguments), *(["COMMAND [ARGS]..."] if verbs else [])]
        lines = [f"{say('help.usage')} {ctx.command_path} {' '.join(usage)}"]
        for paragraph in _paragraphs(area):
            lines += ["", *_wrapped(paragraph, width, _MARGIN)]
        prefix = f"{area}_" if ctx.parent is not None else ""
        for title, rows in (
            ("arguments", [(_metavar(each), _text(area, each)) for each in arguments]),
            ("options", [(_option(each), _text(area, each)) for each in options]),
            ("verbs", [(name, _paragraphs(f"{prefix}{name}")[0]) for name in verbs]),
        ):
            if rows:
                lines += ["", say(f"help.{title}"), *_columns(rows, width)]
        return "\n".join(lines)


class Verb(_Told, TyperCommand):
    """A verb of the command line."""


class Verbs(_Told, TyperGroup):
    """The command line itself, or a verb that has verbs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands:
            options = message("usage.help.options", command=ctx.command_path)
            said = message("usage.no_verb", name=repr(args[0]))
            raise UserError(said, suggestion(args[0], [*self.commands], options))
        return super().resolve_command(ctx, args)


def _area(ctx: Any) -> str:
    """The table of a command's texts: ``run``, ``learn_check``, and ``graphlab`` of all."""
    names = []
    while ctx.parent is not None:
        names.append(ctx.info_name)
        ctx = ctx.parent
    return "_".join(reversed(names)) or "graphlab"


def _paragraphs(area: str) -> list[str]:
    return say(f"help.{area}.about").split("\n\n")


def _metavar(parameter: Any) -> str:
    return parameter.metavar or parameter.name.upper()


def _place(argument: Any) -> str:
    name = _metavar(argument) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option(parameter: Any) -> str:
    names = ", ".join(sorted(parameter.opts, key=len))
    return names if parameter.is_flag else f"{names} {_metavar(parameter)}"


def _text(area: str, parameter: Any) -> str:
    # What several verbs take stands once.
    shared = f"help.shared.{parameter.name}"
    own = f"help.{area}.{parameter.name}"
    text = say(own if own in catalogue("en") else shared)
    if parameter.show_default is True and parameter.default not in (None, False):
        return say("help.default", text=text, value=parameter.default)
    return text


def _columns(rows: list[tuple[str, str]], width: int) -> list[str]:
    room = max(len(name) for name, _ in rows) + 2 * _MARGIN
    lines = []
    for name, text in rows:
        head = f"{'':{_MARGIN}}{name}"
        for line in _wrapped(text, width, room):
            lines.append(f"{head:{room}}{line.strip()}")
            head = ""
    return lines


def _wrapped(text: str, width: int, margin: int) -> list[str]:
    # Rich is imported where a help is shown, and not at every start.
    from graphlab.views.terminal.source_line import wrap

    return [f"{'':{margin}}{line}" for line in wrap(text, width - margin)]

"""What was wrong with a command line, where the parser of the command line says it in English."""

from __future__ import annotations

from typing import Any

from graphlab.language import message
from graphlab.language.lists import suggestion


def misread(error: Any) -> tuple[str, str]:
    """The lines ``error:`` and ``help:`` for an error of click's, which is known by the name of its
    class, because typer has brought its own click for some releases and none for others."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "graphlab")
    options = message("usage.help.options", command=command)
    kind = type(error).__name__
    if kind == "NoSuchOption":
        given = context.command.params if context else []
        known = [name for each in given for name in each.opts if name.startswith("-")]
        said = message("usage.no_such_option", command=command, option=error.option_name)
        return said, suggestion(error.option_name, known, options)
    if kind == "BadOptionUsage":
        return message("usage.needs_value", option=error.option_name), options
    if kind == "MissingParameter" and error.param is not None:
        name = error.param.metavar or error.param.name.upper()
        return message("usage.missing", name=name), options
    return error.format_message().rstrip("."), options

"""Tells of layers that nothing loaded and that a library froze with all that was."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.steps import unversioned
from graphlab.rules.words import several_parameters
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Finding, Help, Place, Severity
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import FreshFrozen

_TRAINED = "modules_to_save"


def left_as_drawn(trace: Trace, label: tuple[str, str, Severity]) -> Iterator[Finding]:
    """One finding for all layers of a program."""
    found = [each for each in trace.sightings if isinstance(each, FreshFrozen)]
    if not found:
        return
    tensors = [at for each in found for at in each.tensors]
    layers = [*dict.fromkeys(each.path.rpartition(".")[2] for each in found)]
    said = ", ".join(f'"{each}"' for each in layers)
    written = f"{_TRAINED}=[{said}]"
    help = Help(message("training.gl103.save_too", written=written))
    at, call = found[0].at, found[0].call
    yield Finding(
        *label,
        summary=message(
            "training.gl103.as_drawn", names=several_parameters(trace, tensors), count=len(tensors)
        ),
        tensor=unversioned(trace, tensors[0]),
        cause=Place(at, message("training.gl103.says_what", call=call)) if at else None,
        help=(_saved_too(trace, found[0], written) or help,),
    )


def _saved_too(trace: Trace, each: FreshFrozen, written: str) -> Help | None:
    """``LoraConfig(…, modules_to_save=["classifier"])``."""
    file = Rewriting.of(trace, each.at)
    calls = [
        node
        for node in (ast.walk(file.tree) if file is not None and each.at is not None else ())
        if isinstance(node, ast.Call)
        and each.at is not None
        and node.lineno == each.at.line
        and f"{ast.unparse(node.func).rpartition('.')[2]}()" == each.call
    ]
    if file is None or len(calls) != 1 or any(k.arg == _TRAINED for k in calls[0].keywords):
        return None
    last = max(file.span(each)[1] for each in (*calls[0].args, *calls[0].keywords))
    text = message("training.gl103.save_too", written=written)
    return file.help(text, (last, last, f", {written}"))

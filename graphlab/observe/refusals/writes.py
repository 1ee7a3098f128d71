"""Explains in-place writes that autograd refused, as they happen or from the traceback.

These are writes to a leaf that requires grad and to some views, and the use of a view whose base
was written.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from graphlab.language import message
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.iterations import Iterations
from graphlab.observe.lineage.cut import making
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawRefused, RawWrite
from graphlab.observe.origins.context import Context, Entry
from graphlab.observe.origins.made import Makers
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.observe.refusals.traceback import ErrorTraceback
from graphlab.observe.tensors import (
    Named,
    base_of,
    describe,
    is_leaf,
    is_module,
    is_tensor,
    is_view,
    kind_of,
    refusal_of,
    requires_grad,
    storage_key,
)
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import LOST, attribute, class_name, exactly, items, lookup, variables
from graphlab.source.places import locate, statement_at
from graphlab.source.statements import statements
from graphlab.source.wording import call_text, target_text
from graphlab.trace.model import Location, Refused
from graphlab.trace.values import IN_PLACE


def unseen_refusal(
    error: BaseException | None, log: Log, iterations: Iterations, files: UserFiles
) -> RawRefused | None:
    """A refused write that no patch saw, such as by a custom Function's mark_dirty."""
    if not isinstance(error, RuntimeError):
        return None
    kind = mistake_of(error)
    if kind not in ("leaf", "view"):
        return None
    tb = ErrorTraceback(error.__traceback__, files)
    refused = refused_write(tb, kind, log)
    if refused is None or tb.caller is None:
        return None
    frame, offset = tb.caller
    if any(
        isinstance(each, RawRefused) and each.spot == (frame.f_code, offset) for each in log.events
    ):
        return None
    return RawRefused(
        log.last_seq(),
        (frame.f_code, offset),
        refused.by,
        tb.tensors[refused.tensor],
        refused.kind,
        iterations.iteration(frame),
        refused.made,
        made_by=refused.made_by,
    )


def refused_write(tb: ErrorTraceback, kind: str, log: Log | None = None) -> Refused | None:
    """`kind` is "leaf" or "view": which of the two autograd complained of."""
    tb.look_from(len(tb.entries))
    at, last = tb.at, tb.entries[-1]
    if at is None:
        return None
    subject: Any = None
    text = None
    if tb.caller is last:
        subject, by, text = _written(tb, at)
        if not _refuses(subject, kind):
            # The statement writes nothing itself, but calls compiled code: look at its arguments.
            by, text = call_text(at, at.code)[0], None
            subject = next((each for each in _named(last.frame, at) if _refuses(each, kind)), None)
    else:
        call, through = call_text(at, at.code)[0], f"{last.frame.f_code.co_name}()"
        by = call if call.endswith(f".{through}") else f"{call}, through {through}"
        subject = next((each for each in _given(last.frame) if _refuses(each, kind)), None)
    if not _refuses(subject, kind):
        return None
    if kind == "leaf" and is_view(subject):
        subject = base_of(subject)
    known = tb.names.of_tensor(subject)
    named = known[1] if known is not None else Named("", kind_of(subject), None)
    if text is not None and named.kind != "parameter":
        # The name in the statement is clearer than another variable of the same memory.
        named = Named(text, kind_of(subject), named.owner)
    made, made_by = None, ""
    if kind == "view":
        entries = [Entry(*each) for each in tb.stack()]
        makers = Makers(tb.files, tb.source_files(), entries, log)
        caller = Entry(*tb.caller) if tb.caller is not None else Entry(*last)
        made, made_by = _view_made(subject, named.name, makers, tb.names, caller)
    tensor = tb.add(subject, named)
    return Refused(0, at, by, tensor, kind, made=made, made_by=made_by)  # pyright: ignore[reportArgumentType]


def _named(frame: FrameType, at: Location) -> Iterator[Any]:
    """The values of the names that a statement reads."""
    statement = statement_at(at.file, at.line)
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield lookup(node.id, frame.f_locals, frame.f_globals)


def _given(frame: FrameType) -> Iterator[Any]:
    """What a function of a library was called with."""
    for value in variables(frame.f_locals).values():
        yield from value if exactly(value, tuple, list) else [value]


def _written(tb: ErrorTraceback, at: Location) -> tuple[Any, str, str | None]:
    """(what the statement at `at` writes, how it does so, the variable's name)."""
    here = [
        each
        for each in statements(at.file)
        if each.kind == "write" and each.at.line <= at.line <= (each.node.end_lineno or 0)
    ]
    # Of several on one line, the one whose very columns failed.
    here.sort(key=lambda each: (each.at.line, each.at.column) != (at.line, at.column))
    if not here:
        return None, at.code, None
    value = tb.values().of(here[0].target, here[0].scope)
    return (value if value is not LOST else None), here[0].by, ast.unparse(here[0].target)


def _refuses(value: Any, kind: str) -> bool:
    """Whether it is a leaf that requires grad, or a view of one; for "view", any view."""
    if not is_tensor(value):
        return False
    base = base_of(value)
    if kind == "view":
        return base is not None
    leaf = value if base is None else base
    return is_leaf(leaf) and requires_grad(leaf)


def refusal(
    target: Any,
    tracer: LineTracer,
    iterations: Iterations,
    files: UserFiles,
    by: str,
    frame: FrameType,
) -> RawRefused | None:
    """Why autograd refused a write; None if it had no reason to, and the write failed of something
    else, such as its shape. To be called while the exception is handled."""
    import torch

    if not is_tensor(target) or not torch.is_grad_enabled():
        return None
    error = sys.exc_info()[1]
    if error is not None and mistake_of(error) not in ("leaf", "view"):
        return None
    base = base_of(target)
    leaf = target if base is None else base
    if is_leaf(leaf) and requires_grad(leaf):
        kind, subject = "leaf", leaf
    elif base is not None:
        kind, subject = "view", target
    else:
        return None
    user = user_frame(frame, files)
    spot = tracer.spot(frame)
    names = Names(files).gather(user)
    known = names.of_tensor(subject)
    named = known[1] if known is not None and known[1].kind == "parameter" else None
    text = target_text(locate(*spot)) if spot is not None and frame is user else None
    if named is None and text is not None:
        named = Named(text, kind_of(subject), None)
    module = _writing_module(frame, files) if named is None else None
    if module is not None:
        # Another variable of the same memory, as a hook keeps, is not what is written to.
        by = f"{names.modules.get(id(module), class_name(module))}{IN_PLACE}"
        named = Named(_handed_over(subject, user), kind_of(subject), None)
    if named is None:
        named = known[1] if known is not None else Named("", kind_of(subject), None)
    info = describe(subject, named.name or None, named.kind, named.owner)
    made, made_by = None, ""
    if kind == "view" and user is not None:
        makers = Makers.of_frame(user, files, tracer.log)
        entry = Entry(user, user.f_lasti)
        made, made_by = _view_made(subject, named.name, makers, names, entry)
    return RawRefused(
        tracer.seq(), spot, by, info, kind, iterations.iteration(user), made, None, made_by
    )


def _handed_over(tensor: Any, user: FrameType | None) -> str:
    """The variable with this very tensor that the user's statement reads, "" for none."""
    if user is None:
        return ""
    read = _names(statement_at(user.f_code.co_filename, user.f_lineno))
    held = variables(user.f_locals).items()
    return next((name for name, value in held if value is tensor and name in read), "")


def _writing_module(frame: FrameType | None, files: UserFiles) -> Any:
    """The module of torch's that was told to write in place, and does so in `frame`; None if it is
    the program's own statement."""
    while frame is not None and frame.f_code not in files:
        module = variables(frame.f_locals).get("self")
        if is_module(module):
            return module if attribute(module, "inplace") is True else None
        frame = frame.f_back
    return None


def _view_made(
    view: Any, name: str, makers: Makers, names: Names, entry: Entry
) -> tuple[Location | None, str]:
    """Where a view was made, and by what; in the user's frame it is called `name`."""
    hook = makers.backward_hook(view, names)
    if hook is not None:
        return hook
    context = Context.of_entry(entry)
    try:
        node = ast.parse(name, mode="eval").body if name else None
    except SyntaxError:
        node = None
    found = makers.origin("view", view, node, context)
    if found is not None:
        return found.at, message("errors.refused.view_made")
    line = getattr(context.use, "lineno", None) if context is not None else None
    return making(entry.frame, name, makers.files, line), ""


def invalidated_view(
    error: BaseException | None, log: Log, iterations: Iterations, files: UserFiles
) -> RawRefused | None:
    """The view that `error` is about: the one in the innermost user frame for which torch raises
    the same message."""
    if not isinstance(error, RuntimeError):
        return None
    for frame, line, offset in _user_entries(error.__traceback__, files):
        found = {
            name: value
            for name, value in _tensors(frame)
            if is_view(value) and refusal_of(value) == str(error)
        }
        if not found:
            continue
        used = _names(statement_at(frame.f_code.co_filename, line))
        name = next((each for each in found if each in used), next(iter(found)))
        view = found[name]
        info = describe(view, name, "activation")
        return RawRefused(
            log.last_seq(),
            (frame.f_code, offset),
            "",
            info,
            "view",
            iterations.iteration(frame),
            making(frame, name, files, line),
            _writer(view, log),
        )
    return None


def _user_entries(
    tb: TracebackType | None, files: UserFiles
) -> Iterator[tuple[FrameType, int, int]]:
    """(frame, line, offset) of the user's part of a traceback, the innermost first."""
    found = []
    while tb is not None:
        if tb.tb_frame.f_code in files:
            found.append((tb.tb_frame, tb.tb_lineno, tb.tb_lasti))
        tb = tb.tb_next
    yield from reversed(found)


def _tensors(frame: FrameType) -> Iterator[tuple[str, Any]]:
    for name, value in variables(frame.f_locals).items():
        if is_tensor(value):
            yield name, value
        elif exactly(value, list, tuple):
            for at, each in items(value):
                if is_tensor(each):
                    yield f"{name}[{at}]", each


def _names(statement: ast.stmt | None) -> set[str]:
    nodes = ast.walk(statement) if statement is not None else ()
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Subscript)}


def _writer(view: Any, log: Log) -> RawWrite | None:
    """The last write to what the view is of."""
    key = storage_key(view)
    for event in reversed(log.events):
        if isinstance(event, RawWrite) and any(each[0] == key for each in event.tensors):
            return event
    return None

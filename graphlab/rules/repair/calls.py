"""Repairs of one call that asks autograd for what it does not give."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Refused, Trace

_MADE = {"zeros", "ones", "empty", "full", "eye"}


def asked_in_time(trace: Trace, event: Backward) -> Iterator[Help]:
    """Let the input require grad before the forward that its gradient is asked of."""
    file = Rewriting.of(trace, event.cut)
    late = file.statement(event.cut.line) if file is not None and event.cut is not None else None
    if file is None or late is None:
        return
    tensor = trace.tensors[event.subject] if event.subject is not None else None
    names = [each for each in (tensor.name if tensor else None, _bound(late)) if each]
    body = file.body(late)
    before = body[: body.index(late)] if late in body else []
    for at, each in enumerate(before):
        reads = any(
            isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names
            for node in ast.walk(each)
        )
        made_before = any(_bound(one) in names for one in before[:at])
        if reads and (made_before or _bound(each) not in names):
            start, end = file.whole(late)
            place = file.whole(each)[0]
            text = file.source[start:end]
            found = file.help(
                message("repairs.tried.before_forward", line=each.lineno),
                (place, place, text), (start, end, ""),
            )  # fmt: skip
            if found is not None:
                yield found
            return


def _bound(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return ast.unparse(target.value if isinstance(target, ast.Attribute) else target)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        func = statement.value.func
        return ast.unparse(func.value) if isinstance(func, ast.Attribute) else None
    return None


def zeros_for_unused(trace: Trace, event: Backward) -> Iterator[Help]:
    """Zeros for parameters that the output does not depend on: the derivative is 0 there. Of an
    input, which is asked for alone, it may well be that the output should depend on it."""
    tensor = trace.tensors[event.subject] if event.subject is not None else None
    file = Rewriting.of(trace, event.at)
    if file is None or event.at is None or tensor is None or tensor.kind != "parameter":
        return
    for node in ast.walk(file.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "grad"
            and node.lineno <= event.at.line <= (node.end_lineno or 0)
            and not any(word.arg in ("allow_unused", "materialize_grads") for word in node.keywords)
        ):
            end = file.span(node.keywords[-1] if node.keywords else node.args[-1])[1]
            found = file.help(
                message("repairs.tried.zeros"),
                (end, end, ", materialize_grads=True"),
            )
            asked = next((e.value for e in node.keywords if e.arg == "inputs"), None)
            asked = asked or (node.args[1] if len(node.args) > 1 else None)
            alone = isinstance(asked, ast.Name | ast.Attribute) and not _is_list(file, asked)
            choice = message("fix.meant.unused", name=tensor.name or "") if alone else ""
            if found is not None:
                yield replace(found, choice=choice)
            return


def _is_list(file: Rewriting, given: ast.expr) -> bool:
    """Whether a variable was given a list, or what a call gives: parameters, and no one input."""
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.List | ast.Tuple | ast.ListComp | ast.Call)
        and "parameters" in file.text(node.value)
        and ast.unparse(given) in (ast.unparse(each) for each in node.targets)
        for node in ast.walk(file.tree)
    )


def without_checkpoint(trace: Trace, event: Backward) -> Iterator[Help]:
    """Call the function itself: it then runs once, and keeps what a checkpoint would not."""
    files = {each.at.file for each in trace.events if each.at is not None}
    found = []
    for name in sorted(files):
        file = Rewriting.of(trace, _in_file(trace, name))
        for node in ast.walk(file.tree) if file is not None else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("checkpoint"):
                found.append((file, node))
    if len(found) != 1:
        return
    file, node = found[0]
    assert file is not None
    if not node.args or any(isinstance(each, ast.Starred) for each in node.args[:1]):
        return
    own = ("use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug")
    kept = [file.text(each) for each in node.args[1:]]
    kept += [file.text(each) for each in node.keywords if each.arg not in own]
    start, end = file.span(node)
    new = f"{file.text(node.args[0])}({', '.join(kept)})"
    help = file.help(message("repairs.tried.no_checkpoint"), (start, end, new))
    if help is not None:
        yield help


def _in_file(trace: Trace, name: str) -> Location | None:
    return next((e.at for e in trace.events if e.at is not None and e.at.file == name), None)


def mapped_like_the_input(trace: Trace, event: Refused) -> Iterator[Help]:
    """``x.new_zeros(3)`` for ``torch.zeros(3)`` in a function that vmap maps."""
    file = Rewriting.of(trace, event.made)
    if file is None or event.made is None:
        return
    for node in ast.walk(file.tree):
        if (
            not isinstance(node, ast.Call)
            or node.lineno != event.made.line
            or ast.unparse(node.func) not in {f"torch.{each}" for each in _MADE}
        ):
            continue
        function = file.function(node)
        name = ast.unparse(node.func).removeprefix("torch.")
        for argument in function.args.args if function is not None else ():
            if argument.arg == "self":
                continue
            if name not in ("zeros", "ones", "empty", "full"):
                place = file.span(node)[1]
                found = file.help(
                    message("repairs.tried.add_zeros", name=argument.arg),
                    (place, place, f" + torch.zeros_like({argument.arg})"),
                )
                if found is not None:
                    yield found
                continue
            found = file.help(
                message("repairs.tried.make_from", name=argument.arg),
                (*file.span(node.func), f"{argument.arg}.new_{name}"),
            )
            if found is not None:
                yield found


def straight_through(trace: Trace, at: Location | None, operation: str) -> Iterator[Help]:
    """Hand the gradient past an operation whose slope is 0."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or not isinstance(statement, ast.Assign | ast.Return) or not statement.value:
        return
    name = operation.lower()
    calls = [
        each
        for each in ast.walk(statement.value)
        if isinstance(each, ast.Call) and ast.unparse(each.func).rsplit(".", 1)[-1] == name
    ]
    if len(calls) != 1:
        return
    call = calls[0]
    method = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) != "torch"
    given = call.func.value if method else call.args[0] if call.args else None  # type: ignore[union-attr]
    if given is None:
        return
    if isinstance(given, ast.Name):
        flat = file.text(call)
        found = file.help(
            message("repairs.tried.straight_through", name=name),
            (*file.span(call), f"({given.id} + ({flat} - {given.id}).detach())"),
        )
        if found is not None:
            yield found
        return
    plain = next((each for each in ("raw", "smooth", "before") if each not in file.source), "x_")
    indent = " " * statement.col_offset
    flat = f"{plain}.{name}()" if method else f"{file.text(call.func)}({plain})"
    start, _ = file.whole(statement)
    found = file.help(
        message("repairs.tried.straight_through", name=name),
        (start, start, f"{indent}{plain} = {file.text(given)}\n"),
        (*file.span(call), f"({plain} + ({flat} - {plain}).detach())"),
    )
    if found is not None:
        yield found


def identity_instead(trace: Trace, built: Location | None, module: str) -> Iterator[Help]:
    """Build an Identity where a softmax was built."""
    file = Rewriting.of(trace, built)
    for node in ast.walk(file.tree) if file is not None and built is not None and module else ():
        if (
            file is not None and built is not None
            and isinstance(node, ast.Call)
            and node.lineno <= built.line <= (node.end_lineno or 0)
            and ast.unparse(node.func).rsplit(".", 1)[-1] == module
        ):  # fmt: skip
            head = ast.unparse(node.func).rpartition(".")[0]
            new = f"{head}.Identity()" if head else "torch.nn.Identity()"
            found = file.help(
                message("repairs.tried.leave_module_out", module=module), (*file.span(node), new)
            )
            if found is not None:
                yield found
            return


def one_real_number(trace: Trace, event: Backward) -> Iterator[Help]:
    """Make one real number of a loss; weights of the loss's own shape."""
    file = Rewriting.of(trace, event.at)
    for node in ast.walk(file.tree) if file is not None and event.at is not None else ():
        if (
            file is None or event.at is None
            or not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or node.func.attr != "backward"
            or not node.lineno <= event.at.line <= (node.end_lineno or 0)
        ):  # fmt: skip
            continue
        end = file.span(node.func.value)[1]
        parts = {"complex-loss": (".abs()", ".real"), "non-scalar": (".mean()", ".sum()")}
        if event.trouble in parts:
            for part in parts[event.trouble]:
                found = file.help(
                    message("repairs.tried.train_on", loss=event.loss, part=part), (end, end, part)
                )
                if found is not None and event.trouble == "complex-loss":
                    choice = message("fix.meant.which_number")
                    yield replace(found, choice=choice)
                elif found is not None:
                    yield found
        elif node.args or node.keywords:
            given = node.args[0] if node.args else node.keywords[0].value
            new = f"torch.ones_like({file.text(node.func.value)})"
            found = file.help(message("repairs.tried.weigh_alike"), (*file.span(given), new))
            if found is not None:
                weights = message("fix.meant.drops_weights", given=file.text(given))
                yield replace(found, choice="" if _all_ones(given) else weights)
        return


def _all_ones(given: ast.expr) -> bool:
    name = ast.unparse(given.func).rsplit(".", 1)[-1] if isinstance(given, ast.Call) else ""
    return name in ("ones", "ones_like", "new_ones")


def flag_left_out(trace: Trace, event: Refused) -> Iterator[Help]:
    """Leave out a statement that does nothing but tell a result to require grad."""
    file = Rewriting.of(trace, event.at)
    statement = file.statement(event.at.line) if file is not None and event.at else None
    if file is None or statement is None or "requires_grad" not in event.by:
        return
    alone = isinstance(statement, ast.Assign | ast.Expr) and len(file.body(statement)) > 1
    if alone and "requires_grad" in file.text(statement):
        found = file.help(message("repairs.tried.leave_out_graph"), (*file.whole(statement), ""))
        if found is not None:
            yield found


def not_reentrant_at_all(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Let checkpoints be of the kind that needs no input that requires grad."""
    file = Rewriting.of(trace, at)
    words = [
        node
        for node in (ast.walk(file.tree) if file is not None else ())
        if isinstance(node, ast.keyword) and node.arg == "use_reentrant"
        and isinstance(node.value, ast.Constant) and node.value.value is True
    ]  # fmt: skip
    if file is not None and words:
        edits = [(*file.span(each.value), "False") for each in words]
        found = file.help(message("repairs.tried.not_reentrant"), *edits)
        if found is not None:
            yield found

"""Repairs of one call: a loss without a graph or not a scalar, and a grad() to differentiate."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.graph.kept_apart import differentiable
from graphlab.rules.words import loss_word, several_parameters
from graphlab.source.blocks import Block, Edit
from graphlab.source.vocabulary import CUTS
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace

_ALIASES = ("detach", "detach_", "data")
_NUMBERS = ("item", "tolist")
_COPIES = ("tensor", "as_tensor", "from_numpy")
_GUARDS = ("no_grad", "inference_mode")


def restore_graph(trace: Trace, event: Backward) -> Help | None:
    """Help for the line that detached a loss from its graph; None if the line is not known."""
    if event.cut is None:
        return None
    found = keep_graph(trace, event.cut, event.cut_by, event.loss)
    loss = loss_word(event.loss)
    return replace(found, text=message("repairs.call.silences", text=found.text, loss=loss))


def keep_graph(trace: Trace, at: Location | None, by: str, loss: str) -> Help:
    """Help for the line at which `loss`, or a part of it, lost its graph, by `by`."""
    if at is None:
        return Help(message("repairs.call.compute_within", loss=loss_word(loss)))
    word, call = _word(by), ""
    edits: tuple[Block, Edit] | None = None
    imported = by == at.code and re.search(r"(?<![\w.])grad\(", by) is not None
    if imported or (word == "grad" and by.endswith("grad()")):
        text = message("repairs.call.pass_create_graph", loss=loss_word(loss), line=at.line)
        return differentiable(trace, at, loss) or Help(text)
    if "requires_grad" in by:
        key = "frozen"
    elif word in _GUARDS:
        key = "outside"
    elif word == "set_grad_enabled":
        key = "grad_enabled"
    elif word == "numpy" or ".numpy(" in at.code:
        key = "stay_in_torch"
    elif word in _ALIASES:
        key = "leave_out"
        call = f".{word}" if word == "data" else f".{word}()"
        edits = _replaced(trace, at, call, "")
    elif word in _NUMBERS or by in ("float()", "int()"):
        key = "keep_tensor"
    elif word in _COPIES:
        key = "stack"
        listed = _listed(trace, at, word)
        if listed is not None:
            edits = _replaced(trace, at, f"torch.{word}({listed})", f"torch.stack({listed})")
    elif word in ("checkpoint", "checkpoint_sequential"):
        key = "checkpoint"
        edits = _replaced(trace, at, "use_reentrant=True", "use_reentrant=False")
    elif word not in CUTS:
        key = "see_what"
    else:
        key = "no_gradient"
    words = {"loss": loss_word(loss), "by": by, "line": at.line, "call": call}
    if key == "see_what" and len(trace.optimizers) == 1 and trace.optimizers[0].owns:
        optimizer = trace.optimizers[0]
        names = several_parameters(trace, optimizer.owns)
        key, words = "see_what_trains", {**words, "optimizer": optimizer.name, "names": names}
    text = message(f"repairs.call.{key}", **words)
    if edits is not None:
        return edits[0].help(text, [edits[1]])
    return Help(text)


def kept_as_tensor(trace: Trace, at: Location | None, by: str) -> Iterator[Help]:
    """``total += loss`` for ``total += loss.item()``, where the sum is trained on. Not where a new
    tensor is made of the number."""
    if at is None or _word(by) != "item" or "tensor(" in at.code:
        return
    edits = _replaced(trace, at, ".item()", "")
    if edits is not None:
        words = {"by": by, "line": at.line}
        yield edits[0].help(message("repairs.call.keep_tensor", **words), [edits[1]])


def reduce_to_scalar(trace: Trace, event: Backward) -> Help | None:
    """Insert .mean() before .backward(), or .sum() into the argument of grad()."""
    at, loss = event.at, event.loss
    if at is None or not re.fullmatch(r"[\w.]+", loss):
        return None
    if event.call == f"{loss}.backward()":
        edits = _replaced(trace, at, f"{loss}.backward(", f"{loss}.mean().backward(")
        key = "mean"
    else:
        edits = _replaced(trace, at, f".grad({loss},", f".grad({loss}.sum(),")
        key = "sum"
    if edits is None:
        return None
    return edits[0].help(message(f"repairs.call.{key}", loss=loss), [edits[1]])


def add_create_graph(trace: Trace, freeing: Backward, call: str) -> Help | None:
    """Add create_graph=True to a call of torch.autograd.grad that freed what the backward `call`
    needs, as with a gradient penalty, where the gradients are differentiated again."""
    at = freeing.at
    if at is None or not freeing.call.endswith("grad()"):
        return None
    source = trace.sources.get(at.file, "")
    block = Block(source, at.file, at.line, at.line)
    if not block.statements:
        return None
    calls = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Call)]
    for node in calls:
        here = node.lineno <= at.line <= (node.end_lineno or 0)
        if not here or f"{ast.unparse(node.func)}()" != freeing.call:
            continue
        old = ast.get_source_segment(source, node) or ""
        if node.lineno != node.end_lineno:
            return None
        off = re.sub(r"\bcreate_graph\s*=\s*False\b", "create_graph=True", old)
        if off == old and ("create_graph" in old or "retain_graph" in old):
            return None
        text = message("repairs.call.create_graph", call=call)
        line = block.lines[at.line - 1]
        told = off if off != old else f"{old[:-1].rstrip().rstrip(',')}, create_graph=True)"
        new = line.replace(old, told, 1)
        return block.help(text, [Edit(at.line, at.line, new)])
    return None


def _word(by: str) -> str:
    """The last name in it: ``detach`` for ``net(x).detach()``, ``data`` for ``p.data``."""
    return re.sub(r"\([^()]*\)$", "", by).rsplit(".", 1)[-1]


def _replaced(trace: Trace, at: Location, old: str, new: str) -> tuple[Block, Edit] | None:
    """An edit that replaces `old` in a line; None if it is not there exactly once, or if the line
    detaches in another way too."""
    block = Block(trace.sources.get(at.file, ""), at.file, at.line, at.line)
    line = block.lines[at.line - 1] if at.line <= len(block.lines) else ""
    rest = line.replace(old, new, 1)
    more = any(f".{word}(" in rest for word in (*_NUMBERS, "numpy", "detach"))
    if line.count(old) != 1 or (not new and more):
        return None
    return block, Edit(at.line, at.line, rest)


def _listed(trace: Trace, at: Location, word: str) -> str | None:
    """The source of the list that a line passes to torch.tensor or the like; None if it is none."""
    source = trace.sources.get(at.file, "")
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    lists = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.ListComp)
        for target in node.targets
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or node.lineno != at.line or len(node.args) != 1:
            continue
        if ast.unparse(node.func) == f"torch.{word}" and not node.keywords:
            given = node.args[0]
            if isinstance(given, ast.List | ast.ListComp) or ast.unparse(given) in lists:
                return ast.get_source_segment(source, given)
    return None


def not_reentrant(trace: Trace, event: Backward) -> Help | None:
    """Pass use_reentrant=False to the checkpoint at the line `event.cut`."""
    at = event.cut
    text = message("repairs.call.not_reentrant")
    edits = _replaced(trace, at, "use_reentrant=True", "use_reentrant=False") if at else None
    return edits[0].help(text, [edits[1]]) if edits is not None else Help(text)


def leave_out_frozen(trace: Trace, event: Backward) -> Help | None:
    """Ask only for the parameters of ``model.parameters()`` that require grad; for a tensor that is
    no parameter, let it require grad."""
    tensor = trace.tensors[event.subject] if event.subject is not None else None
    at = event.at
    if tensor is None or at is None:
        return None
    name = tensor.name or message("words.it")
    if tensor.kind != "parameter" and event.cut is not None:
        words = {"name": name, "line": event.cut.line, "loss": loss_word(event.loss)}
        return Help(message("repairs.call.require_grad", **words))
    source = trace.sources.get(at.file, "")
    block = Block(source, at.file, at.line, at.line)
    asked = _asked_of(source, at)
    if asked is None or not block.statements:
        return None
    old, line = asked
    text = message("repairs.call.ask_for_trained", name=name)
    whole = block.lines[line - 1]
    if whole.count(old) != 1:
        return Help(text)
    inner = re.sub(r"^(list|tuple)\((.*)\)$", r"\2", old)
    kept = f"[p for p in {inner} if p.requires_grad]"
    others = _zipped(source, at, inner)
    statement = block.statements[block.index(line) or 0]
    if not others:
        return block.help(text, [Edit(line, line, whole.replace(old, kept))])
    # The gradients are told apart by their place: whatever goes through the same list must as well.
    fresh = next(
        each for each in ("params", "trained", "asked") if not re.search(rf"\b{each}\b", source)
    )
    indent = " " * statement.col_offset
    edits = [Edit(statement.lineno, statement.lineno - 1, f"{indent}{fresh} = {kept}\n")]
    edits.append(Edit(line, line, whole.replace(old, fresh)))
    for each in others:
        edits.append(Edit(each, each, block.lines[each - 1].replace(inner, fresh)))
    return block.help(message("repairs.call.same_ones", name=name), edits)


def _zipped(source: str, at: Location, inner: str) -> list[int]:
    """The lines below `at`, in its function, that go through `inner` beside something else."""
    scopes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module)
        and getattr(node, "lineno", 0) <= at.line <= (getattr(node, "end_lineno", None) or 10**9)
    ]
    scope = max(scopes, key=lambda node: getattr(node, "lineno", 0))
    return sorted(
        {
            node.lineno
            for node in ast.walk(scope)
            if isinstance(node, ast.Call)
            and ast.unparse(node.func) == "zip"
            and node.lineno > at.line
            and node.lineno == node.end_lineno
            and any(ast.unparse(each) == inner for each in node.args)
        }
    )


def _asked_of(source: str, at: Location) -> tuple[str, int] | None:
    """The argument ``….parameters()`` of the grad() call at `at`, and its line."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or node.lineno != at.line:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name not in ("grad", "backward"):
            continue
        given = node.args[1:2] if name == "grad" else []
        given = [*given, *(each.value for each in node.keywords if each.arg == "inputs")]
        for each in given:
            text = ast.get_source_segment(source, each) or ""
            inner = re.fullmatch(r"(?:list|tuple)\((.*)\)|(.*)", text)
            if each.lineno == each.end_lineno and text.rstrip(")").endswith(".parameters("):
                return (text, each.lineno) if inner is not None else None
    return None

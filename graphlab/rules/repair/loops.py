"""Repairs of a training loop: recompute, detach, move the step, or limit backward to inputs."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterable

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.steps import own_losses
from graphlab.source.blocks import Block, DependentVariables, Edit, bound_names, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, OptimizerInfo, Saved, Trace


def recompute(
    trace: Trace, lines: set[int], change: Location, failed: Location, done: str, key: str = ""
) -> Help | None:
    """Recompute, after `change`, the variables that depend on the statements at `lines` and that
    are used up to `failed`. `done` names the change in the text, and `key` another text."""
    found = _block_between(trace, change, failed)
    if found is None:
        return None
    block, middle, end = found
    flow = DependentVariables(block, lines, middle)
    places = flow.recompute(middle + 1, end)
    if not places or not flow.simple:
        return None
    edits = insertions(block, flow, places)
    names = [name for _, found in places for name in found]
    known = key or f"repairs.loops.{'recompute' if len(names) == 1 else 'recompute_many'}"
    text = message(known, names=listing(names), by=done)
    return block.help(text, edits)


def _block_between(trace: Trace, first: Location, last: Location) -> tuple[Block, int, int] | None:
    """The block with the statements at two locations, and their indices; None if they are not two
    statements of one block, in this order."""
    if first.file != last.file or first.line >= last.line:
        return None
    block = Block(trace.sources.get(last.file, ""), last.file, first.line, last.line)
    start, end = block.index(first.line), block.index(last.line)
    return (block, start, end) if start is not None and end is not None and start != end else None


def saving_lines(problems: Iterable[Saved], event: Backward) -> set[int]:
    """The lines that saved these tensors: in the function that calls backward if that is known,
    else in any function of the same file."""
    places = [each.within or each.at for each in problems]
    return {at.line for at in places if at and event.at and at.file == event.at.file}


def lines_using(trace: Trace, owners: set[str], change: Location, failed: Location) -> set[int]:
    """The lines before `change`, in its block, that bind a value computed with one of `owners`,
    the variables of networks. Stands in for `saving_lines` if those are not known."""
    if change.file != failed.file or change.line >= failed.line:
        return set()
    block = Block(trace.sources.get(failed.file, ""), failed.file, change.line, failed.line)
    middle = block.index(change.line)
    return {
        each.lineno
        for each in block.statements[: middle or 0]
        if bound_names(each) and owners & {name.split(".")[0] for name in read_names(each)}
    }


def insertions(
    block: Block, flow: DependentVariables, places: list[tuple[int, list[str]]]
) -> list[Edit]:
    """Edits that repeat the statements which bind variables, before those that need them."""
    edits = []
    for at, names in places:
        target = block.statements[at]
        again = "".join(
            _reindent(block.text(each), target.col_offset) for each in flow.statements(names)
        )
        edits.append(Edit.of(target, again + block.text(target)))
    return edits


def _reindent(text: str, indent: int) -> str:
    text = textwrap.dedent(text)
    return textwrap.indent(text if text.endswith("\n") else text + "\n", " " * indent)


def detach_and_recompute(
    trace: Trace, lines: set[int], freed: Location, failed: Location, call: str
) -> Help | None:
    """Detach the outputs of networks that the freeing loss does not train, so that its backward
    does not free their graph; recompute the rest."""
    found = _block_between(trace, freed, failed)
    if found is None:
        return None
    block, middle, end = found
    flow = DependentVariables(block, lines, middle)
    if not flow.simple:
        return None
    after = block.statements[middle + 1 : end + 1]
    # What is computed again of it alone reads it as well.
    again = flow.statements(
        [name for _, names in flow.recompute(middle + 1, end) for name in names]
    )
    kept = [
        name
        for name, at in flow.origin.items()
        if not (read_names(block.statements[at]) & flow.origin.keys() - {name})
        and _made_by_other_network(trace, block, at, middle)
        and any(name in read_names(s) for s in (*after, *again))
    ]
    if not kept:
        return None
    edits = []
    for at in range(middle):
        statement = block.statements[at]
        used = [name for name in kept if name in read_names(statement)]
        if used and at > max(flow.origin[name] for name in used):
            edits.append(Edit.of(statement, _detached(block, statement, used)))
    for name in kept:
        flow.origin.pop(name)
    places = flow.recompute(middle + 1, end)
    edits.extend(insertions(block, flow, places))
    anew = [name for _, found in places for name in found]
    key = "detach_and_recompute" if anew else "detach"
    words = {"names": listing(kept), "call": call, "anew": listing(anew)}
    text = message(f"repairs.loops.{key}", **words)
    return block.help(text, edits)


def detach(
    trace: Trace, variable: str, used: Location, backward: Location, later: Location | None
) -> Help | None:
    """Detach a variable in every statement from the line `used` on that the loss of `backward`
    depends on; recompute what a `later` backward needs of these."""
    if used.file != backward.file or used.line >= backward.line:
        return None
    last = max(backward.line, later.line if later is not None and later.file == used.file else 0)
    block = Block(trace.sources.get(used.file, ""), used.file, used.line, last)
    first, middle, end = (block.index(line) for line in (used.line, backward.line, last))
    if first is None or middle is None or end is None or first >= middle:
        return None
    made = [at for at in range(first) if variable in bound_names(block.statements[at])]
    users = [
        at
        for at in range(made[-1] + 1 if made else first, middle)
        if variable in read_names(block.statements[at])
    ]
    if not users or any(
        variable in bound_names(block.statements[at]) for at in range(first, middle)
    ):
        return None
    flow = DependentVariables(block, {block.statements[at].lineno for at in users}, middle)
    places = flow.recompute(middle + 1, end)
    if places and not flow.simple:
        return None
    edits = []
    for at in users:
        statement = block.statements[at]
        text = _detached(block, statement, [variable])
        edits.append(Edit.of(statement, text))
    edits.extend(insertions(block, flow, places))
    anew = listing([name for _, found in places for name in found])
    key = "ends_there_recompute" if anew else "ends_there"
    return block.help(message(f"repairs.loops.{key}", name=variable, anew=anew), edits)


def detach_others(trace: Trace, lines: set[int], change: Location, failed: Location) -> Help | None:
    """Detach, where the later loss is computed, what was made before `change` by nothing but the
    network that this trains: an advantage in an actor's loss."""
    found = _block_between(trace, change, failed)
    target = _stepped_after(trace, found[0], found[2]) if found is not None else None
    if found is None or target is None:
        return None
    block, middle, end = found
    changing = block.statements[middle]
    writer = next((o for o in trace.optimizers if _steps(changing, o.name)), None)
    if writer is None or target is writer:
        return None
    own, other = _owner(trace, target.owns), _owner(trace, writer.owns)
    if own is None or other is None or own == other:
        return None
    flow = DependentVariables(block, lines, middle)
    places = flow.recompute(middle + 1, end)
    if len(places) != 1:
        return None
    at, names = places[0]
    statement = block.statements[at]
    used = [name for name in names if name in read_names(statement)]
    made = flow.statements(names)
    if len(used) != 1 or not used[0].isidentifier() or not isinstance(statement, ast.Assign):
        return None
    if not all(_calls_only(each, other.rpartition(".")[2]) for each in made):
        return None
    # What its own network made has a way into the loss that is left, and none through the other.
    owned = _made_from(block.statements[:at], own)
    if any(read_names(each) & owned for each in made) or not read_names(statement) & owned:
        return None
    text = message("repairs.loops.detach_others", name=used[0], owner=own)
    return block.help(text, [Edit.of(statement, _detached(block, statement, used))])


def _made_from(statements: list[ast.stmt], network: str) -> set[str]:
    """The variables that are computed from what a network's calls gave."""
    name, found = network.rpartition(".")[2], set[str]()
    for each in statements:
        calls = (node for node in ast.walk(each) if isinstance(node, ast.Call))
        called = any(name in ast.unparse(call.func).split(".") for call in calls)
        if called or read_names(each) & found:
            found |= bound_names(each)
    return found


def _stepped_after(trace: Trace, block: Block, at: int) -> OptimizerInfo | None:
    """The optimizer that steps next in a block."""
    return next(
        (o for s in block.statements[at:] for o in trace.optimizers if _steps(s, o.name)), None
    )


def _calls_only(statement: ast.stmt, network: str) -> bool:
    """Whether it calls that network, functions of torch's and methods of tensors alone."""
    for node in ast.walk(statement):
        if not isinstance(node, ast.Call):
            continue
        parts = ast.unparse(node.func).split(".")
        held = parts[-1] == network and parts[:-1] in ([], ["self"])
        if not held and (len(parts) == 1 or parts[0] == "self"):
            return False
    return True


def _made_by_other_network(trace: Trace, block: Block, at: int, freeing: int) -> bool:
    """Whether the statement calls a network that the optimizer stepped next does not train."""
    owners = {o.name: _owner(trace, o.owns) for o in trace.optimizers}
    stepped = next(
        (owners[name] for s in block.statements[freeing:] for name in owners if _steps(s, name)),
        None,
    )
    made = read_names(block.statements[at]) & {owner for owner in owners.values() if owner}
    return stepped is not None and bool(made) and stepped not in made


def _steps(statement: ast.stmt, optimizer: str) -> bool:
    return f"{optimizer}.step" in read_names(statement)


def _owner(trace: Trace, owns: tuple[int, ...]) -> str | None:
    owners = {trace.tensors[index].owner for index in owns}
    return owners.pop() if len(owners) == 1 else None


def _detached(block: Block, statement: ast.stmt, names: list[str]) -> str:
    lines = lines_with_ends(block.text(statement))
    places = [
        node
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)
    ]
    for node in sorted(places, key=lambda n: (-n.lineno, -n.col_offset)):
        row = node.lineno - statement.lineno
        raw = lines[row].encode()
        end = node.end_col_offset or 0
        lines[row] = (raw[:end] + b".detach()" + raw[end:]).decode()
    return "".join(lines)


def move_step(
    trace: Trace, change: Location, failed: Location, by: str, alternative: bool
) -> Help | None:
    """Move the step after the later backward, and limit that backward to its own network.
    `alternative`: another help comes before this one."""
    block = Block(trace.sources.get(failed.file, ""), failed.file, change.line, failed.line)
    middle, end = block.index(change.line), block.index(failed.line)
    if change.file != failed.file or middle is None or end is None or middle >= end:
        return None
    step, backward = block.statements[middle], block.statements[end]
    if not isinstance(step, ast.Expr) or not isinstance(backward, ast.Expr):
        return None
    target = _stepped_after(trace, block, end)
    owner = _owner(trace, target.owns) if target is not None else None
    limited = _with_inputs(block, backward, f"list({owner}.parameters())") if owner else None
    cleared = target is not None and any(
        f"{target.name}.zero_grad" in read_names(s) for s in block.statements[middle:end]
    )
    stale = DependentVariables(block, {change.line}, middle)
    again = target is not None and by.startswith(f"{target.name}.")
    if limited is None or not cleared or again or stale.origin:
        return None
    moved = Edit.of(step, "")
    later = Edit.of(backward, limited + block.text(step))
    key = "or_move_step" if alternative else "move_step"
    text = message(f"repairs.loops.{key}", by=by, owner=owner)
    return block.help(text, [moved, later])


def _with_inputs(block: Block, statement: ast.stmt, inputs: str) -> str | None:
    """The backward call of a statement with these inputs added."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    call = statement.value
    if any(word.arg == "inputs" for word in call.keywords) or call.lineno != call.end_lineno:
        return None
    raw = block.text(statement).encode()
    end = (call.end_col_offset or 0) - 1
    comma = b", " if call.args or call.keywords else b""
    return (raw[:end] + comma + f"inputs={inputs}".encode() + raw[end:]).decode()


def isolation_edits(
    trace: Trace, block: Block, within: ast.AST | None = None, groups: bool = False
) -> list[Edit]:
    """Edits that pass ``inputs=`` to each backward whose loss belongs to one optimizer, so that it
    writes gradients of that optimizer's network only. groups: where that is no one network, of the
    optimizer's groups."""
    pairs = own_losses(trace)
    wanted = {
        loss: _owner(trace, trace.optimizers[index].owns)
        for index, loss in pairs.items()
        if trace.optimizers[index].owns
    }
    # Two networks in one module: its parameters are not one loss's alone.
    shared = Counter(wanted.values())
    whole = {loss: owner for loss, owner in wanted.items() if owner and shared[owner] == 1}
    steps = {loss: trace.optimizers[index].name for index, loss in pairs.items() if groups}
    edits = []
    body: list[ast.AST] = [within] if within is not None else list(block.statements)
    for top in body:
        for node in ast.walk(top):
            loss = _backward_of(node)
            if loss is None or not isinstance(node, ast.Expr):
                continue
            if loss in whole:
                inputs = f"list({_here(block, node, whole[loss])}.parameters())"
            elif loss in steps:
                optimizer = _here(block, node, steps[loss])
                inputs = f'[p for g in {optimizer}.param_groups for p in g["params"]]'
            else:
                continue
            text = _with_inputs(block, node, inputs)
            if text is not None:
                edits.append(Edit.of(node, text))
    return edits


def _here(block: Block, node: ast.stmt, owner: str) -> str:
    source = "".join(block.lines)
    file = Rewriting(block.file, source, ast.parse(source))
    statement = file.statement(node.lineno)
    return file.spelled(statement, owner) if statement is not None else owner


def _backward_of(node: ast.AST) -> str | None:
    """``loss`` of the statement ``loss.backward(…)``; None for any other."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        func = node.value.func
        if isinstance(func, ast.Attribute) and func.attr == "backward":
            return ast.unparse(func.value)
    return None


def run_only_one_backward(
    trace: Trace, freed: Location, failed: Location, loss: str
) -> Help | None:
    """Turn the second of two adjacent ifs that both ran the same backward into an else."""
    block = Block(trace.sources.get(failed.file, ""), failed.file, freed.line, failed.line)
    one, other = block.index(freed.line), block.index(failed.line)
    if freed.file != failed.file or one is None or other is None or other != one + 1:
        return None
    first, second = block.statements[one], block.statements[other]
    if not isinstance(first, ast.If) or not isinstance(second, ast.If) or first.orelse:
        return None
    if second.orelse:
        return None
    header = block.lines[second.lineno - 1]
    indent = header[: len(header) - len(header.lstrip())]
    edits = [Edit(second.lineno, second.body[0].lineno - 1, f"{indent}else:\n")]
    isolated = [edit for edit in isolation_edits(trace, block, first) if len(own_losses(trace)) > 1]
    key = "run_once_isolated" if isolated else "run_once"
    return block.help(message(f"repairs.loops.{key}", loss=loss), edits + isolated)

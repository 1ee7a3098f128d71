"""Repairs of averages that a program makes itself: when, of what, and where they go."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.bodies import in_one_body, leads_to
from graphlab.rules.repair.ranks.replicas import imported
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_PLAIN = ast.Expr | ast.Assign
_LOOPS = (ast.For, ast.AsyncFor)
# Of a parameter that is no DTensor.
_WHOLE = ' and not hasattr(parameter, "full_tensor")'


def averaged_before(trace: Trace, late: Location | None, step: Location | None) -> Help | None:
    """Move what averages the gradients, at `late`, before the step that came first."""
    file = Rewriting.of(trace, late)
    pair = in_one_body(file, step, late) if file is not None else None
    if file is None or pair is None:
        return None
    stepping, averaging = pair
    start, end = file.whole(averaging)
    text = file.indented(averaging, averaging, 0)
    place = file.whole(stepping)[0]
    return file.help(message("repairs.averages.before"), (place, place, text), (start, end, ""))


def clipped_after(
    trace: Trace, clip: Location | None, mean: Location | None, step: Location | None
) -> Help | None:
    """Move the clipping behind the average: right before the step, where that follows."""
    file = Rewriting.of(trace, clip)
    pair = in_one_body(file, clip, mean) if file is not None else None
    if file is None or pair is None or not isinstance(pair[0], _PLAIN):
        return None
    clipping, averaging = pair
    body = file.body(clipping)
    after = body[body.index(averaging) + 1 :]
    stepping = next((each for each in after if step and leads_to(file, each, step)), None)
    last = body[body.index(stepping) - 1] if stepping is not None else averaging
    for each in after if stepping is None else ():
        # The sum is divided there, as in ``p.grad /= world``.
        last = each if isinstance(each, _PLAIN | ast.AugAssign) and _on_grad(each) else last
    bound = {ast.unparse(e) for e in getattr(clipping, "targets", [])}
    between = body[body.index(clipping) + 1 : body.index(last) + 1]
    if any(getattr(n, "id", None) in bound for each in between for n in ast.walk(each)):
        return None
    return file.help(message("repairs.averages.clip_after"), *file.moved(clipping, last))


def _on_grad(statement: ast.stmt) -> bool:
    return any(isinstance(e, ast.Attribute) and e.attr == "grad" for e in ast.walk(statement))


def summed_once(trace: Trace, mean: Location | None, step: Location | None) -> Help | None:
    """Sum the gradients, at `mean`, when the micro-batches are done: behind their loop, which the
    step follows, or under the condition of the step."""
    file = Rewriting.of(trace, mean)
    pair = in_one_body(file, mean, step) if file is not None else None
    if file is None or pair is None:
        return None
    summing, stepping = pair
    moved = next((e for e in _within(summing) if mean and leads_to(file, e, mean)), None)
    loop = summing
    if isinstance(stepping, ast.If) and isinstance(summing, ast.Expr | ast.For):
        # ``if (i + 1) % 4 == 0: optimizer.step()``, in the loop itself.
        start, end = file.whole(summing)
        first = stepping.body[0]
        text = file.indented(summing, summing, first.col_offset - summing.col_offset)
        place = file.whole(first)[0]
        return file.help(message("repairs.averages.once"), (place, place, text), (start, end, ""))
    if not isinstance(loop, ast.For) or moved is None or not file.body(moved):
        return None
    told = message("repairs.averages.once")
    return file.help(told, *file.moved(moved, loop)) if moved in loop.body[1:] else None


def _within(statement: ast.stmt) -> list[ast.stmt]:
    return statement.body if isinstance(statement, ast.For) else []


def written_back(trace: Trace, mean: Location | None) -> Help | None:
    """Copy the average of a copy of a gradient, or of all in a row, back to where it is from."""
    file = Rewriting.of(trace, mean)
    averaging = file.statement(mean.line) if file is not None and mean is not None else None
    body = file.body(averaging) if file is not None and averaging is not None else []
    call = getattr(averaging, "value", None)
    if file is None or averaging not in body or not isinstance(call, ast.Call) or not call.args:
        return None
    copy = call.args[0]
    if not isinstance(copy, ast.Name):
        return None
    made = [
        each.value
        for each in body[: body.index(averaging)]
        if isinstance(each, ast.Assign) and [ast.unparse(t) for t in each.targets] == [copy.id]
    ]
    last = [each for each in body if _works_on(each, copy.id)][-1:]
    lines = [*_back(made[0], copy.id)] if len(made) == 1 else []
    if len(lines) != 1 or not last:
        return None
    indent = " " * averaging.col_offset
    place = file.whole(last[0])[1]
    text = "".join(f"{indent}{line}\n" for line in lines[0])
    return file.help(message("repairs.averages.back", name=copy.id), (place, place, text))


def _works_on(statement: ast.stmt, name: str) -> bool:
    """Whether a statement computes or writes what `name` holds; what only reads it, as a return
    does, is left to come after."""
    if isinstance(statement, ast.Return | ast.FunctionDef | ast.ClassDef):
        return False
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(statement))


def _back(value: ast.expr, name: str) -> Iterator[list[str]]:
    """The lines that copy `name` back to the gradients that `value` is made of."""
    row = next((each for each in ast.walk(value) if isinstance(each, _ROWS)), None)
    if row is None:
        grads = {ast.unparse(each) for each in ast.walk(value) if _is_grad(each)}
        if len(grads) == 1:
            yield [f"{grads.pop()}.copy_({name})"]
        return
    grads = {ast.unparse(each) for each in ast.walk(row.elt) if _is_grad(each)}
    if len(row.generators) != 1 or len(grads) != 1:
        return
    grad, (each,) = grads.pop(), row.generators
    target, over = ast.unparse(each.target), ast.unparse(each.iter)
    only = "".join(f" if {ast.unparse(test)}" for test in each.ifs)
    sizes = f"[{grad}.numel() for {target} in {over}{only}]"
    parts = f"[{grad} for {target} in {over}{only}]"
    yield [
        f"for grad, part in zip({parts}, {name}.split({sizes})):",
        "    grad.copy_(part.view_as(grad))",
    ]


_ROWS = ast.ListComp | ast.GeneratorExp


def _is_grad(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "grad"


def of_every_parameter(trace: Trace, mean: Location | None, owner: str) -> Iterator[Help]:
    """Let the loop that averages gradients go over all parameters of `owner`, and pass over none of
    them."""
    file = Rewriting.of(trace, mean)
    averaging = file.statement(mean.line) if file is not None and mean is not None else None
    if file is None or averaging is None:
        return
    around = [*file.around(averaging)]
    loop = next((each for each in around if isinstance(each, _LOOPS)), None)
    if loop is None:
        return
    edits: list[tuple[int, int, str]] = []
    listed = [
        each
        for each in ast.walk(loop.iter)
        if isinstance(each, ast.Attribute) and each.attr in ("parameters", "named_parameters")
    ]
    root = _root(listed[0], owner) if len(listed) == 1 else ""
    whole = f"{root}.{listed[0].attr}()" if root else ""
    plain = isinstance(loop.iter, ast.Call) and loop.iter.func in listed
    # A variable for each parameter, or one for its name as well.
    if root and (plain or isinstance(loop.target, ast.Name)) and whole != file.text(loop.iter):
        edits.append((*file.span(loop.iter), whole))
    for each in loop.body:
        test = getattr(each, "test", None)
        if not isinstance(each, ast.If) or each.orelse or test is None or "None" in file.text(test):
            continue
        if averaging in each.body:
            edits.append((*file.whole(each), file.indented(each.body[0], each.body[-1], -4)))
        elif isinstance(each.body[-1], ast.Continue) and each.lineno < averaging.lineno:
            edits.append((*file.whole(each), ""))
    found = file.help(message("repairs.averages.every", name=owner), *edits)
    if found is not None:
        yield found


def _root(listed: ast.expr, owner: str) -> str:
    """Of ``net.encoder.parameters``, the whole network, as it is called there."""
    parts = ast.unparse(listed).split(".")[:-1]
    last = owner.rpartition(".")[2]
    if last in parts:
        return ".".join(parts[: parts.index(last) + 1])
    return parts[0] if parts[0].isidentifier() and parts[0] != "self" else ""


def averaged_by_hand(
    trace: Trace,
    step: Location | None,
    owner: str,
    names: Iterable[str] = (),
    beside_shards: bool = False,
) -> Help | None:
    """Average the gradients of the module `owner` right before the step, or of the parameters
    called `names` where these are variables of their own. beside_shards: those that are no shard of
    fully_shard's, which averages these."""
    file = Rewriting.of(trace, step)
    stepping = file.statement(step.line) if file is not None and step is not None else None
    if file is None or not isinstance(stepping, ast.Expr) or not file.body(stepping):
        return None
    dist = imported(file.source).get("torch.distributed")
    said = {each.id for each in ast.walk(_scope(file, stepping)) if isinstance(each, ast.Name)}
    plain = [each for each in names if each.isidentifier()]
    model = ", ".join(plain) or file.spelled(stepping, owner)
    averaged = f"[{model}]" if plain else f"{model}.parameters()"
    if not {*(plain or model.split(".")[:1])} <= said:
        # What it steps is known where it is.
        model = _stepped(file, stepping)
        averaged = f'[each for group in {model}.param_groups for each in group["params"]]'
    if dist is None or not model:
        return None
    place, indent = file.whole(stepping)[0], " " * stepping.col_offset
    lines = (
        f"for parameter in {averaged}:",
        f"    if parameter.grad is not None{_WHOLE if beside_shards else ''}:",
        f"        {dist}.all_reduce(parameter.grad)",
        f"        parameter.grad /= {dist}.get_world_size()",
    )
    text = "".join(f"{indent}{each}\n" for each in lines)
    return file.help(message("repairs.averages.by_hand", name=model), (place, place, text))


def norm_of_all_shards(trace: Trace, scaled: Location | None) -> Help | None:
    """Let the number by which a function scales a rank's shards of the gradients come of the norm
    of all of them: of a sum of squares, or of a norm."""
    file = Rewriting.of(trace, scaled)
    scaling = file.statement(scaled.line) if file is not None and scaled is not None else None
    function = file.function(scaling) if file is not None and scaling is not None else None
    dist = imported(file.source).get("torch.distributed") if file is not None else None
    if file is None or scaling is None or function is None or dist is None:
        return None
    made: dict[str, list[ast.Assign | ast.AugAssign]] = {}
    for each in ast.walk(function):
        if isinstance(each, ast.Assign | ast.AugAssign) and each.lineno < scaling.lineno:
            made.setdefault(ast.unparse(_target(each)), []).append(each)
    name, waiting = "", [*_names(scaling)]
    for each in waiting:
        values = [one.value for one in made.get(each, ())]
        if any(_NORM.search(ast.unparse(one)) for one in values) and not any(map(_ratio, values)):
            name = each
            break
        waiting += [more for one in made.get(each, ()) for more in _names(one) - {*waiting}]
    if not name:
        return None
    last = made[name][-1]
    around = [each for each in file.around(last) if isinstance(each, _LOOPS)]
    outer = next((each for each in reversed(around) if function in file.around(each)), last)
    if not isinstance(outer, ast.stmt) or not file.body(outer) or scaling in ast.walk(outer):
        return None
    place, indent = file.whole(outer)[1], " " * outer.col_offset
    lines = [f"{dist}.all_reduce({name})"]
    if isinstance(last, ast.Assign) and _is_root(last.value):
        lines = [f"{name} = {name} ** 2", *lines, f"{name} = {name} ** 0.5"]
    text = "".join(f"{indent}{each}\n" for each in lines)
    return file.help(message("repairs.averages.shards", name=name), (place, place, text))


# A sum of squares, or its root.
_NORM = re.compile(r"\.pow\(2(\.0)?\)|\*\* 2\b|\.square\(|norm\(|\*\* 0\.5|sqrt\(")


def _ratio(value: ast.expr) -> bool:
    """Whether it is the number to scale by already."""
    return any(
        isinstance(each, ast.BinOp) and isinstance(each.op, ast.Div) for each in ast.walk(value)
    )


def _is_root(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Pow):
        return ast.unparse(value.right) in ("0.5", "1 / 2", "1.0 / 2")
    name = ast.unparse(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    return name in ("sqrt", "norm", "vector_norm", "get_total_norm")


def _target(statement: ast.Assign | ast.AugAssign) -> ast.expr:
    return statement.target if isinstance(statement, ast.AugAssign) else statement.targets[0]


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _stepped(file: Rewriting, statement: ast.Expr) -> str:
    """What ``optimizer.step()`` or ``scaler.step(optimizer)`` steps, as it is written."""
    call = statement.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return ""
    given = [each for each in call.args if isinstance(each, ast.Name | ast.Attribute)]
    scaled = given and "scaler" in file.text(call.func).lower()
    return file.text(given[0] if scaled else call.func.value) if call.func.attr == "step" else ""


def _scope(file: Rewriting, statement: ast.stmt) -> ast.AST:
    return file.function(statement) or file.tree

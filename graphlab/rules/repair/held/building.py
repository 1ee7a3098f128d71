"""Repairs of what an optimizer is built from: more parameters, fewer, or built at another time."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.anew.rebuilt import rebuilt_there
from graphlab.rules.repair.held.callers import Callers, called_here, handed_in, returned_here
from graphlab.rules.steps import name_parts
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Step, TensorInfo, Trace

# As many modules are named one by one.
MOST = 6
_BUILDING = ast.Assign | ast.Return


def hold_more(trace: Trace, built: Location | None, missing: Sequence[TensorInfo]) -> list[Help]:
    """Give the optimizer that is built at `built` the missing parameters as well; or build it
    later, when the model has them."""
    file, call, statement = construction(trace, built)
    if file is None or call is None or statement is None:
        return []
    found = [_group_appended(file, call, statement), _unfiltered(file, given_parameters(call))]
    given = _resolved(file, given_parameters(call))
    outside = handed_in(trace, built, file, given) if built is not None else None
    here, place = file, call
    if outside is not None:
        # The names are the caller's.
        here, given = outside
        place = given
    owners = [here.spelled(place, each) for each in _holders(here, missing)]
    if given is not None and owners and not isinstance(given, ast.Dict):
        plain = {each.name for each in missing}
        more = [each if each in plain else f"*{each}.parameters()" for each in owners]
        inner = here.text(given)
        if isinstance(given, ast.List):
            known = inner[1:-1].rstrip().rstrip(",")
            grouped = any(isinstance(each, ast.Dict) for each in given.elts)
            if grouped:
                more = [f'{{"params": [{", ".join(more)}]}}']
            whole = f"[{', '.join([known, *more] if known else more)}]"
        else:
            inner = inner[5:-1] if inner.startswith("list(") else inner
            whole = f"[*{inner}, {', '.join(more)}]"
        start, end = here.span(given)
        text = message("repairs.tried.give_as_well", names=owners)
        found.append(here.help(text, (start, end, whole)))
    found.append(_later(file, statement, trace))
    return [each for each in found if each is not None]


def _unfiltered(file: Rewriting, given: ast.expr | None) -> Help | None:
    """``model.parameters()`` for ``filter(lambda p: p.requires_grad, model.parameters())``: what is
    frozen by then may be thawed later, and is not stepped before."""
    test: ast.expr | None = None
    whole: ast.expr | None = None
    if isinstance(given, ast.Call) and ast.unparse(given.func) == "filter" and len(given.args) == 2:
        test, whole = given.args
    elif isinstance(given, ast.ListComp | ast.GeneratorExp) and len(given.generators) == 1:
        over = given.generators[0]
        test = over.ifs[0] if len(over.ifs) == 1 else None
        whole = over.iter if ast.unparse(given.elt) == ast.unparse(over.target) else None
    if given is None or whole is None or test is None or "requires_grad" not in file.text(test):
        return None
    text = message("repairs.tried.all_parameters", name=file.text(whole))
    return file.help(text, (*file.span(given), file.text(whole)))


def _group_appended(file: Rewriting, call: ast.Call, statement: ast.stmt) -> Help | None:
    """``groups.append(group)`` before the optimizer is built, where groups of that name were
    appended and the last one was not."""
    given = given_parameters(call)
    if not isinstance(given, ast.Name):
        return None
    appended: dict[str, int] = {}
    made: dict[str, int] = {}
    for node in ast.walk(file.function(statement) or file.tree):
        if not isinstance(node, ast.stmt) or node.lineno >= statement.lineno:
            continue
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for each in node.targets:
                if isinstance(each, ast.Name):
                    made[each.id] = max(node.lineno, made.get(each.id, 0))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            names = [each.id for each in node.value.args if isinstance(each, ast.Name)]
            if ast.unparse(node.value.func) == f"{given.id}.append" and names:
                appended[names[0]] = max(node.lineno, appended.get(names[0], 0))
    left = [each for each, line in made.items() if 0 < appended.get(each, 0) < line]
    if len(left) != 1:
        return None
    place, indent = file.whole(statement)[0], " " * statement.col_offset
    return file.help(
        message("repairs.tried.append_group", name=left[0]),
        (place, place, f"{indent}{given.id}.append({left[0]})\n"),
    )


def hold_others(trace: Trace, missing: Sequence[TensorInfo]) -> Iterator[Help]:
    """Give an optimizer the missing parameters in place of its own, which another holds as well, or
    which are those of a copy that no gradient ever reaches."""
    owners = {each.owner for each in missing}
    owner = owners.pop() if len(owners) == 1 else None
    owns = [frozenset(each.owns) for each in trace.optimizers]
    shapes = sorted(each.shape for each in missing)
    twice = [
        each
        for at, each in enumerate(trace.optimizers)
        if owns.count(owns[at]) > 1
        or (
            owns[at] == set(each.never_reached)
            and sorted(trace.tensors[tensor].shape for tensor in each.owns) == shapes
        )
    ]
    twice.sort(key=lambda each: not name_parts(each.name) & name_parts(owner or ""))
    for each in twice if owner else ():
        file, call, _ = construction(trace, each.at)
        given = given_parameters(call) if call is not None else None
        if file is not None and call is not None and given is not None and owner is not None:
            here = file.spelled(call, owner)
            if here == owner and each.at is not None:
                here = called_here(trace, each.at, file, call, owner)
            if here == owner and each.at is not None:
                here = returned_here(trace, each.at, file, call, owner)
            found = file.help(
                message("repairs.tried.give_parameters", name=each.name, owner=here),
                (*file.span(given), f"{here}.parameters()"),
            )
            if found is not None:
                yield found


def _holders(file: Rewriting, missing: Sequence[TensorInfo]) -> list[str]:
    """What to take the missing parameters from: their own modules, so that nothing is held twice;
    or the parameters themselves, if the program assigns them. Empty where they have no names, or
    are many."""
    assigned = {
        each.attr
        for each in ast.walk(file.tree)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    }
    found: dict[str, None] = {}
    for each in missing:
        if not each.name:
            return []
        path, _, last = each.name.rpartition(".")
        found[spelled(path if each.owner and path and last not in assigned else each.name)] = None
    return list(found) if len(found) <= MOST else []


def _resolved(file: Rewriting, given: ast.expr | None) -> ast.expr | None:
    """The list that a variable was given, if that is what an optimizer is built from."""
    if not isinstance(given, ast.Name):
        return given
    lists = [
        each.value
        for each in ast.walk(file.function(given) or file.tree)
        if isinstance(each, ast.Assign)
        and isinstance(each.value, ast.List)
        and given.id in (ast.unparse(target) for target in each.targets)
    ]
    return lists[0] if len(lists) == 1 else given


def given_parameters(call: ast.Call) -> ast.expr | None:
    """What an optimizer is built to train."""
    if call.args:
        return call.args[0]
    return next((word.value for word in call.keywords if word.arg == "params"), None)


def construction(
    trace: Trace, built: Location | None
) -> tuple[Rewriting | None, ast.Call | None, ast.stmt | None]:
    """The file, the call and the statement that build an optimizer."""
    file = Rewriting.of(trace, built)
    statement = file.statement(built.line) if file is not None and built is not None else None
    calls = [
        each
        for each in (ast.walk(statement) if isinstance(statement, _BUILDING) else ())
        if isinstance(each, ast.Call) and given_parameters(each) is not None
    ]
    return file, calls[0] if calls else None, statement


def _later(file: Rewriting, statement: ast.stmt, trace: Trace) -> Help | None:
    """Build it as late as its own body allows: before it is used or anything is trained, as in a
    library's `learn()`, or at the end."""
    body, name = file.body(statement), _target(statement)
    after = body[body.index(statement) + 1 :] if statement in body else []
    if name is None:
        return None
    events = [each.at for each in trace.events if isinstance(each, Backward | Step)]
    trained = {at.line for at in events if at is not None and at.file == file.file}
    until = next(
        (
            at
            for at, each in enumerate(after)
            if _reads(each, name)
            or isinstance(each, ast.Return | ast.For | ast.While)
            or any(each.lineno <= line <= (each.end_lineno or 0) for line in trained)
        ),
        len(after),
    )
    if not until:
        return None
    edits = file.moved(statement, after[until - 1])
    return file.help(message("repairs.tried.build_complete"), *edits)


def _target(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return ast.unparse(statement.targets[0])
    return None


def _reads(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(each, ast.Name | ast.Attribute) and ast.unparse(each) == name
        for each in ast.walk(node)
    )


def build_again(trace: Trace, built: Location | None, changed: Location | None) -> list[Help]:
    """Build the optimizer after the line that put other parameters in place of its own: later, or
    once more. For load_state_dict(), leave assign=True out."""
    found: list[Help | None] = []
    changing = Rewriting.of(trace, changed)
    if changing is not None and changed is not None:
        found.append(_not_assigned(changing, changed.line))
    file, _, statement = construction(trace, built)
    if file is None or statement is None:
        return [each for each in found if each is not None]
    # What a helper of another file changed, it did where it was called.
    found.append(_later(file, statement, trace))
    if changed is not None and built is not None:
        found.append(_called_later(trace, built, statement, changed))
    if changed is None or changed.file != file.file:
        return [each for each in found if each is not None]
    there = after = file.statement(changed.line)
    if file.function(statement) is not file.function(after or statement):
        # In a function that is called where the optimizer was built, or further down.
        led = next(Callers(trace, changed).common(built, changed), None) if built else None
        here = led is not None and led.file.file == file.file
        here = here and led is not None and led.first.lineno == statement.lineno
        after = file.statement(led.last.lineno) if led is not None and here else None
        if after is None and there is not None and built is not None:
            found.append(rebuilt_there(trace, file, built, statement, there))
    if after is None or hasattr(after, "body") or after is statement:
        return [each for each in found if each is not None]
    body = file.body(statement)
    name = _target(statement)
    moved = False
    if after in body and name is not None:
        between = body[body.index(statement) + 1 : body.index(after) + 1]
        if between and not any(_reads(each, name) for each in between):
            text = message("repairs.tried.build_after")
            found.append(file.help(text, *file.moved(statement, after)))
            moved = True
    place = file.whole(after)[1]
    again = file.indented(statement, statement, after.col_offset - statement.col_offset)
    mates = file.body(after)
    added = mates[mates.index(after) + 1 :][:1] if after in mates else []
    drop = [each for each in added if name and ast.unparse(each).startswith(f"{name}.add_param")]
    edits = [(*file.whole(each), "") for each in drop]
    if edits:
        place = edits[0][1]
    if not moved:
        found.append(file.help(message("repairs.tried.build_again"), *edits, (place, place, again)))
    return [each for each in found if each is not None]


def _called_later(
    trace: Trace, built: Location, building: ast.stmt, changed: Location
) -> Help | None:
    """Call the function that builds it behind what leads to the change."""
    led = next(Callers(trace, changed).common(built, changed), None)
    name = _target(led.first) if led is not None else None
    # What stands there itself is moved otherwise.
    if led is None or name is None or led.first.lineno == building.lineno:
        return None
    if any(_reads(each, name) for each in (*led.between, led.last)):
        return None
    edits = led.file.moved(led.first, led.last)
    return led.file.help(message("repairs.tried.build_after"), *edits)


def bound_again(trace: Trace, built: Location, name: str) -> Location | None:
    """The one line below `built` that binds the variable `name`; None if there are more or none."""
    file = Rewriting.of(trace, built)
    lines = [
        each.lineno
        for each in (ast.walk(file.tree) if file is not None else ())
        if isinstance(each, ast.Assign)
        and each.lineno > built.line
        and name in (ast.unparse(target) for target in each.targets)
    ]
    return replace(built, line=lines[0], end_line=lines[0]) if len(lines) == 1 else None


def _not_assigned(file: Rewriting, line: int) -> Help | None:
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        word = next((each for each in node.keywords if each.arg == "assign"), None)
        if word is None or not ast.unparse(node.func).endswith("load_state_dict"):
            continue
        kept = [file.text(each) for each in node.args]
        kept += [file.text(each) for each in node.keywords if each is not word]
        start, end = file.span(node)
        new = f"{file.text(node.func)}({', '.join(kept)})"
        return file.help(message("repairs.tried.copy_values"), (start, end, new))
    return None


def hold_less(trace: Trace, larger: int, smaller: int) -> list[Help]:
    """Leave out of the one optimizer what the other one holds."""
    file, call, _ = construction(trace, trace.optimizers[larger].at)
    other, small, _ = construction(trace, trace.optimizers[smaller].at)
    if file is None or call is None or small is None or other is None:
        return []
    given, theirs = given_parameters(call), given_parameters(small)
    if given is None or theirs is None or isinstance(given, ast.List) or other.file != file.file:
        return []
    name = other.text(theirs)
    start, end = file.span(given)
    whole = f"[p for p in {file.text(given)} if all(p is not q for q in {name})]"
    found = file.help(
        message("repairs.tried.leave_out_steps", name=trace.optimizers[smaller].name),
        (start, end, whole),
    )
    return [found] if found is not None else []


def tied(trace: Trace, at: Location | None, names: Sequence[str]) -> Iterator[Help]:
    """Tie the names again after the line that broke them apart."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or at is None or statement is None or hasattr(statement, "body"):
        return
    kept = _not_assigned(file, at.line)
    if kept is not None:
        yield kept
    place = file.whole(statement)[1]
    indent = " " * statement.col_offset
    for one, other in ((names[-1], names[0]), (names[0], names[-1])):
        one, other = (spelled(file.spelled(statement, each)) for each in (one, other))
        new = f"{indent}{one} = {other}\n"
        found = file.help(message("repairs.tried.tie_again"), (place, place, new))
        if found is not None:
            yield found


def spelled(name: str) -> str:
    """``model[0].weight`` for ``model.0.weight``."""
    found = ""
    for part in name.split("."):
        found += f"[{part}]" if part.isdigit() else f".{part}" if found else part
    return found

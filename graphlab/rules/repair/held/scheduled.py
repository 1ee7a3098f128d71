"""Repairs of a scheduler whose optimizer was built anew, or that is stepped before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, Common, handed_in, leads
from graphlab.source.places import place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Step, Trace
from graphlab.trace.sightings import OptimizerRefused, ScheduleOff

# Schedules whose numbers are of epochs, as their documentation has it.
_BY_EPOCH = ("StepLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR")
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def scheduled_anew(trace: Trace, step: Location | None) -> Iterator[Help]:
    """Build the scheduler behind the one line further down that gives its optimizer's variable
    another optimizer: only there if both are in one body, there as well if that is a branch."""
    file = Rewriting.of(trace, step)
    for built in ast.walk(file.tree) if file is not None else ():
        name = _scheduled(built)
        if file is None or not isinstance(built, ast.Assign) or not name:
            continue
        later = [
            each
            for each in ast.walk(file.function(built) or file.tree)
            if isinstance(each, ast.Assign)
            and file.function(each) is file.function(built)
            and each.lineno > built.lineno
            and [ast.unparse(target) for target in each.targets] == [name]
        ]
        if len(later) != 1 or not file.body(later[0]) or not file.body(built):
            continue
        last = later[0]
        edits = file.moved(built, last)
        if last not in file.body(built):
            edits = edits[1:]
        found = file.help(message("repairs.held.schedule", name=name, line=last.lineno), *edits)
        if found is not None:
            yield found


def _scheduled(statement: ast.AST) -> str:
    """The optimizer's variable, where the statement builds a scheduler of torch's."""
    call = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(call, ast.Call) or not call.args:
        return ""
    func = ast.unparse(call.func)
    known = "lr_scheduler." in func or func.endswith(("LR", "OnPlateau", "WarmRestarts"))
    given = call.args[0]
    return ast.unparse(given) if known and isinstance(given, ast.Name | ast.Attribute) else ""


def steps_in_turn(trace: Trace, off: ScheduleOff) -> Common | None:
    """Where the scheduler's step leads to the optimizer's, further down in the body of one loop, or
    of a function that a loop calls. None where each is in a loop of its own."""
    steps = [e.at for e in trace.events if isinstance(e, Step) and e.optimizer == off.optimizer]
    places = {(at.file, at.line): at for at in steps if at is not None}
    if off.at is None or len(places) != 1 or len(steps) < 2:
        return None
    step = next(iter(places.values()))
    callers = Callers(trace, step)
    for each in callers.common(off.at, step):
        looped = [node for node in each.file.around(each.first) if isinstance(node, _LOOPS)]
        held = any(each.last in ast.walk(loop) for loop in looped)
        alone = not any(isinstance(node, (ast.ClassDef, *_LOOPS)) for node in ast.walk(each.first))
        if alone and (held or each.file.function(each.first) is not None):
            return each
    return None


def scheduled_last(both: Common) -> Help | None:
    """The scheduler's step behind the statement that leads to the optimizer's."""
    first = both.first
    if not isinstance(first, ast.Expr) or not ast.unparse(first).endswith(".step()"):
        return None
    return both.file.help(
        message("repairs.held.schedule_last", line=both.last.lineno),
        *both.file.moved(first, both.last),
    )


def waits_for_less(trace: Trace, at: Location | None) -> Help | None:
    """``mode="min"`` for ``mode="max"`` where a scheduler is built."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    modes = [
        each
        for each in ast.walk(statement or ast.Pass())
        if isinstance(each, ast.Constant) and each.value == "max"
    ]
    if file is None or len(modes) != 1:
        return None
    text = file.text(modes[0]).replace("max", "min")
    return file.help(message("training.gl132.help_upwards"), (*file.span(modes[0]), text))


def scheduled_for(trace: Trace, at: Location | None, name: str, other: str) -> Help | None:
    """``StepLR(optimizer_D, 30)`` for ``StepLR(optimizer_G, 30)`` where a scheduler is built."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return None
    written, better = (file.spelled(statement, each) for each in (name, other))
    given = [
        argument
        for call in ast.walk(statement)
        if isinstance(call, ast.Call)
        for argument in (*call.args[:1], *(w.value for w in call.keywords if w.arg == "optimizer"))
        if ast.unparse(argument) == written
    ]
    if len(given) != 1:
        return None
    text = message("repairs.held.scheduled_for", optimizer=other)
    return file.help(text, (*file.span(given[0]), better))


def once_an_epoch(trace: Trace, off: ScheduleOff) -> Help | None:
    """The scheduler's step behind the loop over batches that it stands in."""
    file = Rewriting.of(trace, off.at)
    statement = file.statement(off.at.line) if file is not None and off.at is not None else None
    if file is None or not isinstance(statement, ast.Expr):
        return None
    batches = file.parents.get(id(statement))
    epochs = file.parents.get(id(batches))
    if not isinstance(batches, _LOOPS) or not isinstance(epochs, _LOOPS) or batches.orelse:
        return None
    if len(batches.body) < 2 or not ast.unparse(statement).endswith(".step()"):
        return None
    return file.help(message("repairs.held.once_an_epoch"), *file.moved(statement, batches))


def stepped_each_epoch(trace: Trace, off: ScheduleOff) -> Help | None:
    """``scheduler.step()`` at the end of the one loop over epochs that leads to the optimizer's
    step, for a schedule of a kind that counts epochs and is never stepped."""
    file = Rewriting.of(trace, off.at)
    built = file.statement(off.at.line) if file is not None and off.at is not None else None
    steps = {e.at for e in trace.events if isinstance(e, Step) and e.optimizer == off.optimizer}
    if file is None or not isinstance(built, ast.Assign) or None in steps or len(steps) != 1:
        return None
    call, target = built.value, built.targets[0]
    step = next(iter(steps))
    if not isinstance(call, ast.Call) or not isinstance(target, ast.Name | ast.Attribute):
        return None
    if ast.unparse(call.func).rpartition(".")[2] not in _BY_EPOCH or step is None:
        return None
    names = Callers(trace, step).leading_to(step)
    loops = [
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.For) and leads(file, node, step, names) and _over_epochs(node)
    ]
    counts = len(loops) == 1 and _counts_turns(call, loops[0])
    last = loops[0].body[-1] if counts else None
    # A local variable of another function has no such name here; an attribute has, in its class.
    here = last is not None and file.function(last) is file.function(built)
    if last is not None and isinstance(target, ast.Attribute):
        here = here or (file.text(target).startswith("self.") and _class(file, last) is not None)
        here = here and _class(file, last) is _class(file, built)
    ends = isinstance(last, ast.Return | ast.Break | ast.Continue | ast.Raise)
    if last is None or ends or not here or not file.body(last):
        return None
    name, end = file.text(target), file.whole(last)[1]
    # A file may end without the end of its last line.
    end -= file.source[:end].endswith("\n")
    edit = (end, end, f"\n{' ' * last.col_offset}{name}.step()")
    return file.help(message("repairs.held.each_epoch", name=name), edit)


def _class(file: Rewriting, node: ast.AST) -> ast.AST | None:
    return next((each for each in file.around(node) if isinstance(each, ast.ClassDef)), None)


def _over_epochs(loop: ast.For) -> bool:
    names = (each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name))
    return any("epoch" in each.lower() or each == "ep" for each in names)


def _counts_turns(call: ast.Call, loop: ast.For) -> bool:
    """Whether what a schedule was given may be numbers of the loop's turns: none is computed from
    the length of something, and none is larger than the number of turns, where that is written."""
    given = [*call.args[1:], *(each.value for each in call.keywords if each.arg != "last_epoch")]
    inner = [node for each in given for node in ast.walk(each)]
    if any(isinstance(each, ast.Call | ast.Mult) for each in inner):
        return False
    turns = loop.iter.args[-1] if isinstance(loop.iter, ast.Call) and loop.iter.args else None
    most = turns.value if isinstance(turns, ast.Constant) else None
    numbers = [n for each in inner if type(n := getattr(each, "value", None)) is int]
    return type(most) is not int or all(n <= most for n in numbers)


def one_cycle_built(trace: Trace, refused: OptimizerRefused) -> Location | None:
    """The one line that builds a one-cycle schedule."""
    built = _one_cycle(trace, refused.at)
    if built is None:
        return None
    file, call = built
    function = file.function(call)
    name = function.name if function is not None else "<module>"
    return place(call, file.file, name, file.source)


def planned_for_loader(trace: Trace, refused: OptimizerRefused) -> Help | None:
    """``steps_per_epoch=len(loader)`` where the schedule is stepped once in each turn of a loop
    over that loader."""
    built = _one_cycle(trace, refused.at)
    if built is None or refused.at is None:
        return None
    file, call = built
    words = [each.value for each in call.keywords if each.arg == "steps_per_epoch"]
    callers = Callers(trace, refused.at)
    names = callers.leading_to(refused.at)
    loops = [
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.For)
        and any(leads(file, each, refused.at, names) for each in node.body)
    ]
    # The innermost one around the step itself, if there is one.
    around = [each for each in loops if refused.at.line in range(each.lineno, _last(each))]
    loop = max(around or loops, key=lambda each: each.lineno, default=None)
    over = _iterated(loop.iter) if loop is not None else None
    handed = handed_in(trace, refused.at, file, over)
    if handed is not None and handed[0].file == file.file:
        over = handed[1] if isinstance(handed[1], ast.Name | ast.Attribute) else None
    if len(words) != 1 or over is None:
        return None
    loader = file.spelled(call, ast.unparse(over))
    new = f"len({loader})"
    if ast.unparse(words[0]) == new or not _known(file, call, loader):
        return None
    return file.help(message("repairs.held.planned", loader=loader), (*file.span(words[0]), new))


def _one_cycle(trace: Trace, at: Location | None) -> tuple[Rewriting, ast.Call] | None:
    """The only call that builds a one-cycle schedule, in the file of `at`."""
    file = Rewriting.of(trace, at)
    found = [
        node
        for node in (ast.walk(file.tree) if file is not None else ())
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("OneCycleLR")
    ]
    return (file, found[0]) if file is not None and len(found) == 1 else None


def _iterated(node: ast.expr) -> ast.expr | None:
    """``loader`` of ``enumerate(tqdm(loader), 1)``."""
    while isinstance(node, ast.Call) and node.args:
        if ast.unparse(node.func).rpartition(".")[2] not in ("enumerate", "tqdm"):
            return None
        node = node.args[0]
    return node if isinstance(node, ast.Name | ast.Attribute) else None


def _last(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) + 1


def _known(file: Rewriting, call: ast.Call, name: str) -> bool:
    """Whether the name has a value by the line of the call: a parameter of its function, or
    assigned before."""
    function, root = file.function(call), name.partition(".")[0]
    if function is not None and root in {each.arg for each in ast.walk(function.args)
                                         if isinstance(each, ast.arg)}:  # fmt: skip
        return root == name or any(
            ast.unparse(each) == name
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and node.lineno < call.lineno
            for each in node.targets
        )
    return any(
        root in {getattr(each, "id", "") for target in node.targets for each in ast.walk(target)}
        for node in ast.walk(function or file.tree)
        if isinstance(node, ast.Assign) and node.lineno < call.lineno
    )


def step_of_wrapper(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``opt.step()`` for ``opt.optimizer.step()``."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    for node in ast.walk(statement) if file is not None and statement is not None else ():
        func = node.func if isinstance(node, ast.Call) else None
        if isinstance(func, ast.Attribute) and func.attr == "step":
            inner = func.value
            if file is not None and isinstance(inner, ast.Attribute):
                outer = file.text(inner.value)
                key = "repairs.held.step_of_wrapper"
                found = file.help(message(key, name=outer), (*file.span(inner), outer))
                if found is not None:
                    yield found

"""Reads from source what computed a value: whether it had a graph, and which expression cut it."""

from __future__ import annotations

import ast
from itertools import takewhile
from typing import Any

from graphlab.observe.lineage.attributes import stored_elsewhere
from graphlab.observe.lineage.callee import (
    closed_over,
    counts,
    entered,
    gives_no_graph,
    is_apart,
    is_base_forward,
    is_reentrant,
    named_in,
    networks_in,
    run_by_checkpoint,
    runs_what_trains,
    unwrapped,
)
from graphlab.observe.lineage.chained import Chain, layers_of, returned
from graphlab.observe.lineage.entries import array_given, call_behind, entry_stores, first_of_loop
from graphlab.observe.lineage.grad_mode import guard_around
from graphlab.observe.lineage.trail import HAS_GRAPH, Result, Trail, creates, first_of, has_graph
from graphlab.observe.lineage.unlike import let_go_later, unlike, unlike_holder
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_module, is_tensor, requires_grad
from graphlab.source.effects.assignments import (
    assigned_value,
    assignments_in,
    call_or_source,
    element_of,
    function_called,
    is_integer,
    scope_of,
    target_names,
)
from graphlab.source.effects.truth import assignments_run, given_in_loop
from graphlab.source.evaluate import evaluate
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, is_a, variables
from graphlab.source.places import kinds_of, parse
from graphlab.source.vocabulary import CUTS, FACTS, SIZES

_DEPTH = 16


class Lineage:
    """Reads statements backwards from an expression: what feeds it, and where that had a graph.

    `values` are what names stand for where that is known: a running frame's variables, or, in a
    function that has returned, `self` alone. `given` are results for a returned function's
    parameters.
    """

    def __init__(
        self,
        file: str,
        scope: ast.AST | None,
        function: str,
        values: dict[str, Any],
        files: UserFiles,
        given: dict[str, Result] | None = None,
        trail: Trail | None = None,
    ) -> None:
        self.file, self.scope, self.function = file, scope, function
        self.tree = parse(file)
        self.values, self.files = values, files
        self.given = given or {}
        self.now = 0  # The line at which `values` are what they are.
        self.busy: set[tuple[str, int]] = set()
        self.known: dict[tuple[int, int], tuple[Result, list[Any]]] = {}
        self.trail = trail or Trail()

    def value(self, node: ast.AST, before: int, depth: int = 0) -> Result:
        """What the expression `node` was, evaluated at line `before`."""
        if self.tree is None or depth > _DEPTH or self.trail.is_long():
            return None
        self.now = max(self.now, before)
        key = (id(node), before)
        if key in self.known:
            found, modules = self.known[key]
            self.trail.modules += modules
            return found
        first = len(self.trail.modules)
        found = self._value(node, before, depth)
        if isinstance(found, Cut) and not any(each is found for each, _ in self.trail.cuts):
            self.trail.cuts.append((found, self.trail.modules[first:]))
        if not self.busy:
            self.known[key] = found, self.trail.modules[first:]
        return found

    def _value(self, node: ast.AST, before: int, depth: int) -> Result:
        if isinstance(node, ast.Name):
            return self.named(node.id, before, depth)
        if isinstance(node, ast.Attribute):
            return self.attribute(node, before, depth)
        if isinstance(node, ast.Call):
            return self.call(node, before, depth)
        if isinstance(node, ast.Compare):
            return self.dropped(self.parts(node, before, depth), node)
        if isinstance(node, ast.Subscript):
            return self.entry(node, before, depth)
        if isinstance(node, ast.IfExp):
            return first_of([self.value(each, before, depth) for each in (node.body, node.orelse)])
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            return self.value(node.elt, before, depth)
        if isinstance(node, ast.Lambda):
            return None
        return self.parts(node, before, depth)

    def parts(self, node: ast.AST, before: int, depth: int) -> Result:
        """The result of an expression that is computed from all its parts."""
        kinds = ast.expr | ast.keyword | ast.comprehension | ast.FormattedValue
        inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, kinds)]
        return first_of([self.value(each, before, depth) for each in inner])

    def dropped(self, operand: Result, node: ast.AST) -> Result:
        """The result of an operation that gives a value without a graph."""
        return self.cut(node, call_or_source(node)) if operand is HAS_GRAPH else operand

    def named(self, name: str, before: int, depth: int) -> Result:
        """The result of a variable."""
        if name in self.given and not self.assignments(name, before):
            self.trail.modules += self.trail.given.get((id(self.scope), name), ())
            return self.given[name]
        value = self.values[name] if name in self.values else self.element(name)
        alive = has_graph(value)
        self.trail.note(value)
        # Of a parameter that the function has assigned again, it is the value before.
        whole = value is self.trail.wanted and name not in self.given
        if alive and (not self.trail.thorough or whole):
            return HAS_GRAPH
        found = self.stored(self.assignments(name, before), name, before, depth)
        if found is None and self.trail.thorough and is_a(value, (list, dict)):
            found = self.elsewhere(None, name, depth)
        if found is None and not alive:
            sources = [self.value(each, before, depth + 1) for each in self.iterated(name)]
            found = self.given.get(name) or first_of(sources)
            made = array_given(value, self.assignments(name, before), self.reach, self.files)
            made = made or (given_in_loop(self.scope, name, before) if is_tensor(value) else None)
            found = self.cut(made, call_or_source(made)) if made and not found else found
        return HAS_GRAPH if alive else found

    def iterated(self, name: str) -> list[ast.expr]:
        """What loops and comprehensions take `name` from."""
        return [each.iter for each in self.loops() if name in target_names(each.target)]

    def loops(self) -> tuple[ast.For | ast.comprehension, ...]:
        return kinds_of(self.scope, ast.For, ast.comprehension)

    def attribute(self, node: ast.Attribute, before: int, depth: int) -> Result:
        """The result of an attribute; ``.data`` drops the graph."""
        text = ast.unparse(node)
        if node.attr == "data":
            return self.dropped(self.value(node.value, before, depth), node)
        if node.attr in FACTS:
            return None
        known = self.reach(node)
        self.trail.note(known)
        if has_graph(known) and not self.trail.thorough:
            return HAS_GRAPH
        stored = self.assignments(text, before)
        if stored:
            return self.stored(stored, text, before, depth)
        if not has_graph(known) and (self.trail.thorough or is_tensor(known)):
            found = self.elsewhere(self.reach(node.value), node.attr, depth)
            if found is not None:
                return found
        found = self.of_call(node, before, depth) if self.trail.thorough or known is None else None
        if known is not None and (found or has_graph(known) or not self.trail.refused):
            return HAS_GRAPH if has_graph(known) else found
        found = found or self.value(node.value, before, depth)
        return unlike_holder(self, found, known, node.value, before)

    def entry(self, node: ast.Subscript, before: int, depth: int) -> Result:
        """The result of an entry of a list or a dict, or of what an index takes out of a tensor."""
        stored = self.assignments(ast.unparse(node), before)
        if stored:
            return self.stored(stored, ast.unparse(node), before, depth)
        name, stored = entry_stores(self.scope, node, before, self.reach)
        found = self.stored(stored, name, before, depth) or self.of_call(node, before, depth)
        found = found or self.value(node.value, before, depth)
        if found is None and self.trail.thorough:
            # ``table[logits.argmax(-1)]``
            return self.value(node.slice, before, depth)
        return found

    def of_call(self, node: ast.Subscript | ast.Attribute, before: int, depth: int) -> Result:
        """The result of one entry of what a call gives."""
        found = call_behind(node, lambda name: self.assignments(name, before))
        if found is None:
            return None
        call, key, statement = found
        result = self.call(call, statement.lineno if statement else before, depth + 1, key)
        return (self.guard(statement or node) or result) if result is HAS_GRAPH else result

    def elsewhere(self, holder: Any, name: str, depth: int) -> Result:
        """The result of what another function stores, such as a forward hook: an attribute `name`
        of `holder`, or something in the variable `name` where that is None."""
        results: list[Result] = []
        for each in stored_elsewhere(holder, name, self.scope, self.values, self.files):
            scope, value, function = each.scope, each.store.value, each.function
            if scope is None or value is None or depth > _DEPTH:
                continue
            if not self.trail.thorough and not each.trained:
                # What a method keeps for the next call, a baseline say, may be a number on purpose.
                continue
            values = {**variables(function.__globals__), **closed_over(function)}
            values |= {"self": each.holder} if each.holder is not None else {}
            # A hook is handed its module, what that was given, and what it gave.
            output = scope.args.args[-1].arg if each.hooked and scope.args.args else None
            given: dict[str, Result] = {output: HAS_GRAPH} if output else {}
            file = each.store.file
            inner = Lineage(file, scope, scope.name, values, self.files, given, self.trail)
            found = inner.value(value, each.store.node.lineno, depth + 1)
            found = (inner.guard(each.store.node) or found) if found is HAS_GRAPH else found
            results.append(found)
            if isinstance(found, Cut):
                self.trail.cuts.append((found, [*each.hooked]))
        return first_of(results)

    def stored(self, statements: list[ast.stmt], name: str, before: int, depth: int) -> Result:
        """The result of the statements that made `name`, the last one first."""
        for statement in statements:
            key = (name, statement.lineno)
            source = assigned_value(statement)
            if source is None or key in self.busy:
                continue
            self.busy.add(key)
            try:
                found = self.part(statement, source, name, depth + 1)
                if isinstance(statement, ast.AugAssign) and found is not HAS_GRAPH:
                    found = first_of([found, self.named(name, statement.lineno, depth + 1)])
            finally:
                self.busy.discard(key)
            if found is HAS_GRAPH:
                found = self.guard(statement) or unlike(self, name, statement)
            if found is not None:
                return let_go_later(self, found, statement)
        return None

    def part(self, statement: ast.stmt, source: ast.expr, name: str, depth: int) -> Result:
        """The result of what `name` gets of the value `source` in ``name, other = source``."""
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(target, ast.Tuple | ast.List):
            names = [ast.unparse(each) for each in target.elts]
            at = names.index(name) if name in names else None
            if at is not None and isinstance(source, ast.Call):
                return self.call(source, statement.lineno, depth, at)
            source = element_of(source, at)
        return self.value(source, statement.lineno, depth)

    def call(self, node: ast.Call, before: int, depth: int, at: int | str | None = None) -> Result:
        """The result of a call, or of one element of the tuple that it gives, from its arguments
        and, if it is known, the function or module."""
        func = node.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        given = [*node.args, *(each.value for each in node.keywords)]
        callee = self.reach(func)
        if callee is None and is_base_forward(func):
            callee = self.values.get("self")
        if name in SIZES and entered(callee)[1] is None:
            return None
        if name in ("to", "type"):
            given = [] if not any(is_integer(each) for each in given) else given
        cuts = name in CUTS or (isinstance(func, ast.Name) and name in ("float", "int", "bool"))
        cuts = cuts or (name in ("to", "type") and bool(given))
        cuts = cuts or (name == "Parameter" and self.trail.thorough)  # It is a leaf of its own.
        cuts = cuts or (name == "grad" and "autograd" in ast.unparse(func) and not creates(node))
        inputs = [self.value(each, before, depth) for each in given]
        if isinstance(func, ast.Attribute) and not is_module(callee):
            inputs.insert(0, self.value(func.value, before, depth))
        elif isinstance(func, ast.Name) and callee is None:
            # What an object was made from, it may compute with.
            inputs.append(self.value(func, before, depth))
        operands = first_of(inputs)
        if name.startswith("checkpoint") and is_reentrant(node, callee, self.reach):
            return self.recomputed(node, before, depth)
        if cuts or is_apart(callee):
            return self.dropped(operands, node)
        if name == "compute" and isinstance(func, ast.Attribute) and counts(self.reach(func.value)):
            return self.cut(node, call_or_source(node))
        found = self.entered(node, callee, inputs, before, depth, at)
        if found is not None:
            return found
        if gives_no_graph(callee):
            holder = func.value if isinstance(func, ast.Attribute) else func
            within = [one for each in (holder, *given) for one in networks_in(self.reach(each))]
            self.trail.modules += within
            return self.dropped(HAS_GRAPH if within else operands, node)
        if is_module(callee) and (parameters := parameters_in(callee)):
            self.trail.modules.append(callee)
            if any(requires_grad(p) for p in parameters):
                return HAS_GRAPH
            if isinstance(operands, Cut):
                self.trail.cut_before.append((operands, callee))
            return operands or self.freezing(node, callee)
        asked = operands is None and self.trail.refused
        parts = [one for each in given for one in named_in(each)] if asked else []
        return HAS_GRAPH if runs_what_trains(callee, map(self.reach, parts)) else operands

    def recomputed(self, node: ast.Call, before: int, depth: int) -> Result:
        """The result of a reentrant checkpoint: without a graph if all of its inputs are."""
        call = run_by_checkpoint(node)
        if HAS_GRAPH in [self.value(each, before, depth) for each in call.args]:
            return HAS_GRAPH
        inner = self.call(call, before, depth + 1)
        return self.cut(node, call_or_source(node)) if inner is HAS_GRAPH else inner

    def entered(
        self, node: ast.Call, callee: Any, inputs: list[Result], before: int, depth: int,
        at: int | str | None = None,
    ) -> Result:  # fmt: skip
        """The result of the user's own function that `node` calls, from its return statements."""
        if layers := layers_of(callee):
            return Chain(self, node, Lineage, depth).result(layers, before)
        inner = self.inside(node, callee, inputs, before, depth)
        return returned(inner, depth, at) if inner is not None else None

    def returns(self) -> list[ast.Return]:
        """The return statements of the function, those with a value."""
        return [each for each in kinds_of(self.scope, ast.Return) if each.value is not None]

    def inside(
        self, node: ast.Call, callee: Any, inputs: list[Result], before: int, depth: int
    ) -> Lineage | None:
        """The lineage inside the user's own function that `node` calls; None for any other."""
        holder, function = entered(unwrapped(callee, self.files))
        code = function.__code__ if function is not None else None
        file = code.co_filename if code is not None else ""
        scope: Any = None
        if code is not None and file in self.files:
            scope = scope_of(parse(file), code.co_firstlineno, code.co_name)
        elif callee is None:
            file, scope = self.file, function_called(self.tree, node)
        if not isinstance(scope, ast.FunctionDef) or scope is self.scope:
            return None
        names = [each.arg for each in (*scope.args.posonlyargs, *scope.args.args)]
        values = variables(function.__globals__) if function is not None else dict(self.values)
        own = code.co_varnames if code is not None else ()
        values = {k: v for k, v in values.items() if k not in own} | closed_over(function)
        if names[:1] == ["self"]:
            values["self"] = holder if holder is not None else self.values.get("self")
            names = names[1:]
        spread = any(isinstance(each, ast.Starred) for each in node.args)
        spread = spread or any(each.arg is None for each in node.keywords)
        given = dict.fromkeys(names, first_of(inputs) if spread else None)
        pairs = [(each.arg, each.value) for each in node.keywords if each.arg is not None]
        # What stands before the first ``*rest`` has its place.
        placed = takewhile(lambda each: not isinstance(each, ast.Starred), node.args)
        pairs += zip(names, placed, strict=False)
        for each, argument in pairs:
            first = len(self.trail.modules)
            given[each] = self.value(argument, before, depth)
            kept = not assignments_in(scope, each, (scope.end_lineno or 0) + 1)
            values[each] = self.reach(argument) if kept else None
            self.trail.given[id(scope), each] = self.trail.modules[first:]
        return Lineage(file, scope, scope.name, values, self.files, given, self.trail)

    def cut(self, node: ast.AST, by: str) -> Cut:
        return Cut(node, by if len(by) < 60 else by[:57] + "…", self.file, self.function)

    def freezing(self, node: ast.AST, callee: Any) -> Cut | None:
        """A call of a module whose parameters are all frozen; cut.py finds the line that did it."""
        found = self.cut(node, call_or_source(node))
        self.trail.frozen.append((found, callee))
        return found

    def guard(self, statement: ast.AST) -> Cut | None:
        """The no_grad block or decorator around a statement."""
        return self.guard_at(getattr(statement, "lineno", 0))

    def guard_at(self, line: int) -> Cut | None:
        return guard_around(self.file, self.tree, line, self.function)

    def assignments(self, name: str, before: int) -> list[ast.stmt]:
        """The statements above line `before` that gave `name` its value, the last one first, and
        those that put something into it where it is a list."""
        return assignments_run(self.scope, name, before, lambda each: self.values.get(each, LOST))

    def reach(self, node: ast.AST) -> Any:
        """The object that an expression evaluates to, None if that is not known without running any
        of the program's code."""
        found = evaluate(node, self.variable)
        return found if found is not LOST else None

    def variable(self, name: str) -> Any:
        known = self.values.get(name)
        return known if known is not None else self.element(name)

    def element(self, name: str) -> Any:
        """The first value of a loop variable."""
        loops = [each for each in self.loops() if name in target_names(each.target)]
        return first_of_loop(loops, name, self.reach)

"""Repair of a function that computes with NumPy what a loss is made of: the same in torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.graph.leaving import left_graph
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

Edits = list[tuple[int, int, str]]

_NUMPY = ("np", "numpy")
# NumPy's functions that give the same numbers as torch's, by torch's names. What is an average or a
# spread by another rule, such as np.median, is not among them, nor what gives indices.
_SAME = {
    "abs": "abs", "absolute": "abs", "add": "add", "arctan": "atan", "arctan2": "atan2",
    "asarray": "as_tensor", "clip": "clamp", "concatenate": "cat", "cos": "cos",
    "divide": "divide", "dot": "dot", "exp": "exp", "expand_dims": "unsqueeze",
    "expm1": "expm1", "float32": "float32", "float64": "float64", "inf": "inf",
    "log": "log", "log1p": "log1p", "log2": "log2", "log10": "log10", "matmul": "matmul",
    "max": "amax", "maximum": "maximum", "mean": "mean", "min": "amin", "minimum": "minimum",
    "multiply": "multiply", "negative": "negative", "ones_like": "ones_like",
    "outer": "outer", "pi": "pi", "power": "pow", "prod": "prod", "sin": "sin", "sqrt": "sqrt",
    "square": "square", "stack": "stack", "std": "std", "subtract": "subtract", "sum": "sum",
    "tanh": "tanh", "var": "var", "where": "where", "zeros_like": "zeros_like",
}  # fmt: skip
# Methods of an array and of a tensor: alike, by another name, or of another meaning.
_METHODS = {"max": "amax", "min": "amin", "copy": "clone", "astype": "to"}
_OTHER = {"argmax", "argmin", "argsort", "sort", "repeat", "resize", "fill", "put", "dot", "take"}
# The spread: NumPy's is over all elements, and torch's over one less where it is not told so.
_SPREAD = ("std", "var")


def in_torch(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Compute with torch all that the function around `at` computes with NumPy."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    function = file.function(statement) if file is not None and statement is not None else None
    if file is None or function is None:
        return
    edits = _translated(file, function)
    outer = _wrapped_again(file, function)
    if edits is None or outer is None:
        return
    text = message("repairs.tried.function_in_torch", name=function.name)
    found = file.help(text, *edits, *outer)
    if found is not None:
        yield found


def _translated(file: Rewriting, function: Function) -> Edits | None:
    """The edits in the function; None where one of NumPy's functions has no counterpart."""
    edits: Edits = []
    gone: list[ast.stmt] = []
    numpy = 0
    for each in ast.walk(function):
        if isinstance(each, ast.Assign) and _only_leaves(file, each):
            gone.append(each)
            edits.append((*file.whole(each), ""))
    left_out = {id(node) for each in gone for node in ast.walk(each)}
    bodies = [each.body for each in ast.walk(function) if isinstance(each, ast.If | ast.For)]
    if any(all(each in gone for each in body) for body in [function.body, *bodies]):
        return None
    for node in ast.walk(function):
        if id(node) in left_out:
            continue
        if _of_numpy(node):
            numpy += 1
        found = _edited(file, node)
        if found is None:
            return None
        edits += found
    return edits if numpy else None


def _only_leaves(file: Rewriting, statement: ast.Assign) -> bool:
    """Whether it is ``x = x.detach().cpu().numpy()``."""
    target = statement.targets[0]
    value: ast.expr = statement.value
    left = left_graph(file, value) is not None
    while left and (inner := left_graph(file, value) or _moved(value)) is not None:
        value = inner[0]
    named = len(statement.targets) == 1 and isinstance(target, ast.Name)
    return left and named and ast.unparse(value) == ast.unparse(target)


def _moved(node: ast.expr) -> tuple[ast.expr, bool] | None:
    """What ``x.cpu()`` moves."""
    func = node.func if isinstance(node, ast.Call) else None
    moves = isinstance(func, ast.Attribute) and func.attr == "cpu"
    return (func.value, False) if moves and isinstance(func, ast.Attribute) else None


def _of_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) in _NUMPY


def _edited(file: Rewriting, node: ast.AST) -> Edits | None:
    """What becomes of one node; None where nothing that computes the same can."""
    if isinstance(node, ast.Attribute) and _of_numpy(node):
        parent = file.parents.get(id(node))
        if node.attr == "newaxis":
            return [(*file.span(node), "None")]
        if isinstance(parent, ast.Call) and parent.func is node:
            # Told with its arguments.
            return [] if node.attr in _SAME else None
        return [(*file.span(node), f"torch.{_SAME[node.attr]}")] if node.attr in _SAME else None
    if not isinstance(node, ast.Call):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            return _taken_off(file, node) if node.attr == "data" else []
        return []
    func = node.func
    if _of_numpy(func) and isinstance(func, ast.Attribute):
        return _called(file, node, func)
    made = _taken_off(file, node) or _tensor_made(file, node)
    if made:
        return made
    if not isinstance(func, ast.Attribute) or ast.unparse(func.value).startswith("torch"):
        return []
    if func.attr in _OTHER:
        return None
    edits: Edits = []
    if func.attr in _METHODS:
        end = file.span(func)[1]
        edits.append((end - len(func.attr), end, _METHODS[func.attr]))
    spread = _uncorrected(file, node) if func.attr in _SPREAD else []
    return None if spread is None else edits + spread


def _called(file: Rewriting, node: ast.Call, func: ast.Attribute) -> Edits | None:
    name = _SAME.get(func.attr)
    if name is None:
        return None
    numbers = [each for each in node.args if isinstance(each, ast.Constant)]
    if func.attr in ("maximum", "minimum") and len(node.args) == 2 and len(numbers) == 1:
        # torch.maximum takes no plain number.
        other = next(each for each in node.args if each is not numbers[0])
        bound = "min" if func.attr == "maximum" else "max"
        (start, end), (first, last) = file.span(node), file.span(other)
        return [(start, first, "torch.clamp("), (last, end, f", {bound}={file.text(numbers[0])})")]
    spread = _uncorrected(file, node) if func.attr in _SPREAD else []
    return None if spread is None else [(*file.span(func), f"torch.{name}"), *spread]


def _uncorrected(file: Rewriting, node: ast.Call) -> Edits | None:
    if any(each.arg in ("ddof", "correction", "unbiased", None) for each in node.keywords):
        return None
    end = file.span(node)[1] - 1
    return [(end, end, ", correction=0" if node.args or node.keywords else "correction=0")]


def _taken_off(file: Rewriting, node: ast.AST) -> Edits:
    """``x`` for ``x.detach()``, ``x.numpy()``, ``x.data``."""
    inner = left_graph(file, node)
    method = isinstance(node, ast.Attribute) or (isinstance(node, ast.Call) and not node.args)
    if inner is None or not method:
        return []
    return [(file.span(inner[0])[1], file.span(node)[1], "")]


def _tensor_made(file: Rewriting, node: ast.Call) -> Edits:
    """``loss`` for ``torch.tensor(loss, requires_grad=True)``."""
    func = ast.unparse(node.func)
    makes = func in ("torch.tensor", "torch.as_tensor", "torch.from_numpy", "torch.FloatTensor",
                     "torch.Tensor", "Variable", "torch.autograd.Variable")  # fmt: skip
    known = {"requires_grad", "dtype", "device"}
    if not makes or len(node.args) != 1 or not {each.arg for each in node.keywords} <= known:
        return []
    given = node.args[0]
    if isinstance(given, ast.List | ast.Tuple):
        if len(given.elts) != 1:
            return []
        given = given.elts[0]
    elif not _computes(file, node, given):
        return []
    (start, end), (first, last) = file.span(node), file.span(given)
    loose = isinstance(given, ast.BinOp | ast.UnaryOp | ast.IfExp | ast.Compare)
    returned = isinstance(file.parents.get(id(node)), ast.Return | ast.Assign)
    before, after = ("(", ")") if loose and not returned else ("", "")
    return [(start, first, before), (last, end, after)]


def _computes(file: Rewriting, node: ast.AST, given: ast.expr) -> bool:
    """Whether what a tensor is made of was computed in the function: an argument may be a list of
    plain numbers."""
    function = file.function(node)
    names = {each.id for each in ast.walk(given) if isinstance(each, ast.Name)}
    stored = {
        each.id
        for each in (ast.walk(function) if function is not None else ())
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    return bool(names & stored) or any(_of_numpy(each) for each in ast.walk(given))


def _wrapped_again(file: Rewriting, function: Function) -> Edits | None:
    """Where callers make a tensor of what the function gives, or hand it an array: they need not.
    None where an array is made of an argument that is more than that."""
    edits: Edits = []
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Call) or _name(node) != function.name:
            continue
        parent = file.parents.get(id(node))
        if isinstance(parent, ast.Call) and parent.args[:1] == [node]:
            func = ast.unparse(parent.func)
            if func in ("torch.tensor", "torch.as_tensor", "torch.from_numpy", "Variable"):
                (start, end), (first, last) = file.span(parent), file.span(node)
                edits += [(start, first, ""), (last, end, "")]
        for given in [*node.args, *(each.value for each in node.keywords)]:
            plain, end = given, file.span(given)[1]
            while (inner := left_graph(file, plain) or _moved(plain)) is not None:
                plain = inner[0]
            if plain is not given:
                if file.text(given).find(file.text(plain)) != 0:
                    return None
                edits.append((file.span(plain)[1], end, ""))
    return edits


def _name(node: ast.Call) -> str:
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")

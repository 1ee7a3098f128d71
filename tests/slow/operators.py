"""Runs torch's operator database and prints, a line of JSON each, what its cases left behind.

``operators.py plain`` never imports graphlab; ``operators.py watched`` opens one session per
operator. Equal output means that watching changed nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.testing._internal import common_methods_invocations as database
from torch.utils._pytree import tree_leaves, tree_map

# Of all the samples that an operator has, so many, evenly spread.
SAMPLES = 4

# What a case leaves behind, to be compared: tensors, or anything with a telling repr.
Case = Callable[[Any, Any], list[Any]]


def digest(value: Any) -> Any:
    """A value as JSON: a tensor's bits as a hash, with what autograd knows of it."""
    if not isinstance(value, torch.Tensor):
        return repr(value)
    dense = value.layout == torch.strided
    flat = value.detach() if dense else value.detach().to_dense()
    flat = flat.resolve_conj().resolve_neg().reshape(-1)
    # A copy, because a view of one element may have any stride.
    flat = flat.clone(memory_format=torch.contiguous_format)
    bits = flat.view(torch.uint8).numpy(force=True).tobytes()
    return [
        str(value.dtype),
        list(value.shape),
        list(value.stride()) if dense else str(value.layout),
        value.requires_grad,
        made_by(value),
        None if value.is_inference() else value._version,
        hashlib.sha256(bits).hexdigest(),
    ]


def made_by(tensor: torch.Tensor) -> str | None:
    """The name of its node. To ask can be an error: of a view whose base was written, say."""
    try:
        return tensor.grad_fn and tensor.grad_fn.name()
    except RuntimeError as error:
        return str(error)


def tensors(*values: Any) -> list[torch.Tensor]:
    return [each for each in tree_leaves(values) if isinstance(each, torch.Tensor)]


def given(sample: Any) -> list[torch.Tensor]:
    return tensors(sample.input, sample.args, sample.kwargs)


def called(op: Any, sample: Any) -> Any:
    return op.op(sample.input, *sample.args, **sample.kwargs)


def differentiable(op: Any, sample: Any) -> Any:
    """The result as the database wants it differentiated: symmetric, say, or without its phase."""
    return sample.output_process_fn_grad(called(op, sample))


def roots_of(result: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What backward can start from, and a gradient for each."""
    roots = [each for each in tensors(result) if each.requires_grad]
    return roots, [torch.ones_like(root) for root in roots]


def backward(result: Any) -> None:
    roots, gradients = roots_of(result)
    if roots:
        torch.autograd.backward(roots, gradients)


def left(result: Any, sample: Any) -> list[Any]:
    """A result, the inputs as they are now, and their gradients."""
    inputs = given(sample)
    return [*tree_leaves(result), *inputs, *(each.grad for each in inputs if each.is_leaf)]


def forward(op: Any, sample: Any) -> list[Any]:
    return left(called(op, sample), sample)


def there_and_back(op: Any, sample: Any) -> list[Any]:
    result = differentiable(op, sample)
    backward(result)
    return left(result, sample)


def back_twice(op: Any, sample: Any) -> list[Any]:
    """The second backward finds its graph freed, if the operator saved anything."""
    result = differentiable(op, sample)
    backward(result)
    backward(result)
    return left(result, sample)


def gradient_of_gradient(op: Any, sample: Any) -> list[Any]:
    inputs = [each for each in given(sample) if each.requires_grad]
    roots, gradients = roots_of(differentiable(op, sample))
    if not roots or not inputs:
        return []
    first = torch.autograd.grad(roots, inputs, gradients, create_graph=True, allow_unused=True)
    backward(first)
    return left(first, sample)


def written_between(op: Any, sample: Any) -> list[Any]:
    """The inputs change after the forward: stale, if the operator saved them."""

    def copied(value: Any) -> Any:
        return value.clone() if isinstance(value, torch.Tensor) and value.requires_grad else value

    data, args, kwargs = tree_map(copied, (sample.input, sample.args, sample.kwargs))
    result = sample.output_process_fn_grad(op.op(data, *args, **kwargs))
    for each in tensors(data, args, kwargs):
        if each.requires_grad and each.is_floating_point():
            each.mul_(0.5)
    backward(result)
    return left(result, sample)


def into_out(op: Any, sample: Any) -> list[Any]:
    with torch.no_grad():
        out = tree_map(torch.zeros_like, called(op, sample))
        result = op.op(sample.input, *sample.args, **sample.kwargs, out=out)
    return [*left(result, sample), *tensors(out)]


def into_out_of_a_graph(op: Any, sample: Any) -> list[Any]:
    """Refused: ``out=`` has no gradient."""
    out = tree_map(torch.zeros_like, called(op, sample))
    result = op.op(sample.input, *sample.args, **sample.kwargs, out=out)
    return [*left(result, sample), *tensors(out)]


def a_copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone()


def a_view(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone().view_as(tensor)


def a_forbidden_view(tensor: torch.Tensor) -> torch.Tensor:
    return torch.stack((tensor, tensor)).unbind()[0]


def a_leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def an_inference_tensor(tensor: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return tensor.clone()


TARGETS = (a_copy, a_view, a_forbidden_view, a_leaf, an_inference_tensor)


def spellings(op: Any) -> dict[str, Callable[..., Any]]:
    """The in-place calls of an operator, looked up now: the database's own were kept unwatched."""
    variant = op.inplace_variant
    name = getattr(variant, "__name__", "")
    found = {}
    if variant is not None:
        found["method"] = getattr(torch.Tensor, name, variant)
    if op.inplace_operator_variant is not None:
        found["operator"] = getattr(operator, op.inplace_operator_variant.__name__)
    if name.endswith("_") and hasattr(torch, name):
        found["function"] = getattr(torch, name)
        found["keyword"] = lambda data, *args, **kwargs: getattr(torch, name)(
            *args, input=data, **kwargs
        )
    return found


def in_place(write: Callable[..., Any], target_of: Callable[..., Any]) -> Case:
    def case(op: Any, sample: Any) -> list[Any]:
        data = sample.input
        target = target_of(data) if isinstance(data, torch.Tensor) else data
        result = write(target, *sample.args, **sample.kwargs)
        backward(result)
        return [*left(result, sample), target, result is target]

    return case


def empty_handed(write: Callable[..., Any]) -> Case:
    return lambda op, sample: [write()]


def good_inputs(op: Any) -> list[Any]:
    every = list(op.sample_inputs("cpu", torch.float32, requires_grad=True))
    count = min(len(every), SAMPLES)
    return [every[at * len(every) // count] for at in range(count)]


def bad_inputs(op: Any) -> list[Any]:
    errors = op.error_inputs("cpu") if op.error_inputs_func is not None else ()
    return [error.sample_input for error in errors][:SAMPLES]


def no_inputs(op: Any) -> list[Any]:
    return [None]


def cases(op: Any) -> Iterator[tuple[str, Case, Callable[[Any], list[Any]]]]:
    """(label, case, the inputs to run it on)."""
    journeys = [forward, there_and_back, back_twice, gradient_of_gradient, written_between]
    if op.supports_out:
        journeys += [into_out, into_out_of_a_graph]
    for case in journeys:
        yield case.__name__, case, good_inputs
    yield "forward, bad inputs", forward, bad_inputs
    for spelling, write in spellings(op).items():
        yield f"{spelling}, no inputs", empty_handed(write), no_inputs
        yield f"{spelling}, bad inputs", in_place(write, a_copy), bad_inputs
        for target_of in TARGETS:
            yield f"{spelling}, {target_of.__name__}", in_place(write, target_of), good_inputs


def attempt(case: Case, op: Any, sample: Any) -> dict[str, Any]:
    torch.manual_seed(1)
    values: list[Any] = []
    raised = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            values = case(op, sample)
        except Exception as error:
            raised = [type(error).__qualname__, str(error)]
    return {
        "raised": raised,
        "values": [digest(each) for each in values],
        "warned": [[each.category.__name__, str(each.message)] for each in said],
        "random": digest(torch.get_rng_state()),
    }


def say(op: Any, **found: Any) -> None:
    """At once: what the program still held, its watcher would look through again and again."""
    print(json.dumps({"op": op.formatted_name, **found}))


def run(op: Any) -> None:
    for label, case, inputs in cases(op):
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = inputs(op)
        for index, sample in enumerate(samples):
            say(op, case=f"{label} #{index}", outcome=attempt(case, op, sample))


def left_out(op: Any) -> str | None:
    if not op.supports_autograd:
        return "no autograd"
    if not op.supports_dtype(torch.float32, "cpu"):
        return "no float32 on the CPU"
    return None


def main(how: str) -> None:
    torch.set_num_threads(1)
    # Otherwise some warnings come once per process only.
    torch.set_warn_always(True)
    for op in database.op_db:
        why = left_out(op)
        if why is not None:
            say(op, left_out=why)
            continue
        watching: Any = contextlib.nullcontext()
        if how == "watched":
            import graphlab

            watching = graphlab.watch()
        with watching as session:
            run(op)
        seen = len(session.trace.events) if session is not None else 0
        notices = session.trace.unseen if session is not None else ()
        in_place = op.inplace_variant is not None
        say(op, in_place=in_place, events=seen, notices=notices)
    assert ("graphlab" in sys.modules) == (how == "watched")


if __name__ == "__main__":
    main(sys.argv[1])

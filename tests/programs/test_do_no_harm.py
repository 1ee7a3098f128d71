"""What is watched runs as it would unwatched: hostile objects, lazy and compiled ones, modes.

Each program runs twice from one seed, plain and watched, and everything it can notice is compared.
`tests/slow/test_harmless.py` does the same with all of torch's modules and optimizers.
"""

from __future__ import annotations

import random
import runpy
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

import graphlab
import graphlab.api.session

# Their texts are long, and a file of their own.
PROGRAMS: dict[str, str] = runpy.run_path(str(Path(__file__).with_name("noticing.py")))["PROGRAMS"]

# Notices that say what cannot be followed, as they should.
RIGHTLY_SAID = {
    "a thread that raises": ("thread",),
    "a compiled module": ("torch.compile",),
    "a compiled module with hooks": ("torch.compile",),
}


def bits(value: Any) -> Any:
    """A value that can be compared: of a tensor its bits, and what autograd knows of it."""
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            found = value.detach().numpy().tobytes(), value._version, value.requires_grad
        return *found, type(value).__name__, str(value.dtype), value.stride()
    return repr(value)


def frames_of(error: BaseException) -> list[tuple[str, int | None]]:
    return [(each.name, each.lineno) for each in traceback.extract_tb(error.__traceback__)]


def outcome(program: str, path: Path, watch: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Everything that a program can show of how it ran, and the watcher's notices."""
    torch.manual_seed(1)
    random.seed(1)
    numpy.random.seed(1)
    path.write_text(program, encoding="utf-8")
    code = compile(program, str(path), "exec")
    space: dict[str, Any] = {"__name__": "__main__", "torch": torch, "sys": sys}
    session = graphlab.watch() if watch else None
    raised, frames = None, []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if session is None:
                exec(code, space)
            else:
                with session:
                    exec(code, space)
        except Exception as error:
            raised, frames = (type(error), str(error)), frames_of(error)[1:]
    found = {
        "raised": raised,
        "frames": frames,
        "kept": [bits(each) for each in space.get("kept", ())],
        "calls": dict(space.get("calls", {})),
        "warned": [(each.category, str(each.message)) for each in said],
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": str(numpy.random.get_state()),
        "tracing": (sys.gettrace(), threading.gettrace(), threading.excepthook),
        "modes": torch.overrides._get_current_function_mode_stack(),
        "call": torch.nn.Module.__call__.__code__,
        "add_": torch.Tensor.add_,
    }
    return found, session.trace.unseen if session is not None else ()


# What watching still changes, and why.
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_cannot_tell_that_it_is_watched(name: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    # What torch does once only, such as a late import, it does here.
    outcome(PROGRAMS[name], path, watch=False)
    watched, notices = outcome(PROGRAMS[name], path, watch=True)
    plain, _ = outcome(PROGRAMS[name], path, watch=False)
    for key, value in plain.items():
        assert watched[key] == value, key
    # It ran as far as it should have: otherwise there was nothing to notice.
    assert plain["kept"]
    expected = RIGHTLY_SAID.get(name, ())
    assert [each for each in notices if not any(word in each for word in expected)] == []


def test_a_subclass_knows_the_functions_that_it_always_knew() -> None:
    known = {torch.Tensor.add_, torch.Tensor.__setitem__}

    class Own(torch.Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func not in known:
                raise NotImplementedError(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})

    with graphlab.watch():
        torch.ones(3).as_subclass(Own).add_(1)


def test_a_compiled_function_is_not_compiled_anew_in_every_session() -> None:
    pytest.importorskip("torch._dynamo")
    torch._dynamo.reset()
    double = torch.compile(lambda x: torch.relu_(x * 2), backend="eager", fullgraph=True)
    for _ in range(12):
        with graphlab.watch():
            double(torch.ones(3))
    torch._dynamo.reset()

"""graphlab.explain(): what can be learned of an autograd error from its traceback alone."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

WIDTH = 80


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found. It holds no tensor and no frame, and prints itself: with `print`, with
    rich, or as the last value of a notebook's cell.

    findings: what the rules found; empty for an error that is not autograd's, and where the
    traceback says too little. trace: what they were found in; None for an error that is not
    autograd's. error: the exception's type and message. command: what would record the lines
    and writers that a traceback cannot show.
    """

    error: str
    findings: tuple[Finding, ...]
    trace: Trace | None
    command: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        from graphlab.views.console import Screen
        from graphlab.views.terminal.report import PostMortem

        if self.trace is None:
            kind = self.error.partition(":")[0]
            shown = Text(f"this {kind} is not an autograd error: nothing to explain")
        else:
            shown = PostMortem(self.trace, list(self.findings), self.command)
        # The console may be the user's own, which would let control characters through.
        yield from Screen(width=options.max_width).render(shown, options)

    def __str__(self) -> str:
        from graphlab.output.streams import fitted
        from graphlab.views.console import text

        # `print` would raise where stdout cannot encode a character, and hide the user's error.
        return fitted(text(self, width=WIDTH).rstrip("\n"), sys.stdout)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self)}


def explain(error: BaseException) -> Explanation:
    """Explain an autograd error from its traceback, with nothing recorded beforehand::

        try:
            loss.backward()
        except RuntimeError as error:
            print(graphlab.explain(error))

    The errors that `error` was raised from are looked at too. Who wrote a tensor, and which
    backward freed a graph, is inferred and marked so.

    Raises:
        TypeError: when `error` is not an exception.
    """
    if not isinstance(error, BaseException):
        raise TypeError(f"explain() takes an exception, not {type(error).__name__}")
    from graphlab.observe.postmortem.build_trace import post_mortem
    from graphlab.rules.registry import find

    trace = post_mortem(error, _target(), _own_files())
    said = f"{type(error).__name__}: {error}"
    findings = tuple(find(trace)) if trace is not None else ()
    return Explanation(said, findings, trace, command())


def command() -> str:
    """The command that runs this program again under observation."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    script = sys.argv[0] if sys.argv else ""
    # A notebook, a prompt, a program from the command line or from a pipe: no file to run again.
    if hasattr(sys, "ps1") or not hasattr(main, "__file__") or script in ("", "-c", "-"):
        return "with graphlab.watch():"
    name = spec.name.removesuffix(".__main__") if spec is not None else ""
    words = ["-m", name] if name else [script]
    rest = ["--", *sys.argv[1:]] if sys.argv[1:] else []
    return shlex.join(["graphlab", "run", *words, *rest])


def _target() -> str:
    script = sys.argv[0] if sys.argv else ""
    return os.path.basename(script) or "this session"


def _own_files() -> tuple[str, ...]:
    """The script counts as the user's wherever it is; for a module, so does its package."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if file is None or "IPython" in sys.modules:
        return ()
    return (os.path.dirname(file),) if getattr(main, "__spec__", None) else (file,)

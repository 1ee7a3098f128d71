"""Chooses how lines are followed."""

from __future__ import annotations

from collections.abc import Callable

from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.hooks.lines.monitoring import MonitoringTracer, free_tool
from graphlab.observe.hooks.lines.settrace import SettraceTracer
from graphlab.observe.iterations import Iterations
from graphlab.observe.notes import Log
from graphlab.source.files import UserFiles


def line_tracer(
    log: Log, files: UserFiles, iterations: Iterations, guard: Callable[[Exception], None]
) -> LineTracer:
    """By `sys.monitoring`, where Python has it and a tool's id is free."""
    kind = MonitoringTracer if free_tool() is not None else SettraceTracer
    return kind(log, files, iterations, guard)

"""The JSON report of a run (graphlab.report/1): fields may be added, never renamed or removed."""

from __future__ import annotations

import math
from typing import Any

from graphlab.language import Message
from graphlab.language.stored import plain, table
from graphlab.trace.finding import Finding, Place, Versions
from graphlab.trace.model import Environment, Failure, Location, OptimizerInfo, Share, Trace
from graphlab.trace.ranks.joint import Joint

SCHEMA = "graphlab.report/1"


def report(trace: Trace, findings: list[Finding]) -> dict[str, Any]:
    """The whole document, ready for `json.dumps`."""
    failure = trace.exception
    document = {
        "schema": SCHEMA,
        "target": trace.target,
        "outcome": trace.outcome,
        "iterations": trace.iterations,
        "environment": _environment(trace.environment),
        "exception": _exception(failure) if failure is not None else None,
        "findings": [finding_document(each) for each in findings],
        "optimizers": [_optimizer(each, trace) for each in trace.optimizers],
        "unseen": list(trace.unseen),
    }
    return {**document, "texts": table(document)}


def joint_report(joint: Joint, findings: list[Finding]) -> dict[str, Any]:
    """As `report`, for the ranks of one program: `ranks` says how each of them ended."""
    ranks = [
        {
            "rank": rank,
            "outcome": trace.outcome,
            "iterations": trace.iterations,
            "environment": _environment(trace.environment),
            "exception": _exception(trace.exception) if trace.exception is not None else None,
        }
        for rank, trace in joint.traces.items()
    ]
    return {**report(joint.lead(), findings), "world": joint.world, "ranks": ranks}


def _environment(env: Environment) -> dict[str, Any]:
    return {
        "python": env.python,
        "torch": env.torch,
        "device": env.device,
        "seed": env.seed,
        "graphlab": env.graphlab,
        "rank": env.rank,
        "world": env.world,
        "host": env.host or None,
    }


def _exception(failure: Failure) -> dict[str, Any]:
    return {"type": failure.type, "message": failure.message, "iteration": failure.iteration}


def _location(at: Location | None) -> dict[str, Any]:
    return {
        "file": at.file if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "end_column": at.end_column if at else None,
        "function": at.function if at else None,
        "code": at.code if at else None,
    }


def _place(place: Place | None, word: str) -> dict[str, Any] | None:
    if place is None:
        return None
    return {**_location(place.at), word: place.what}


def _saved(place: Place | None) -> dict[str, Any] | None:
    found = _place(place, "operation")
    if found is not None and place is not None:
        found["module"] = place.module
    return found


def _tensor(versions: Versions | None) -> dict[str, Any] | None:
    if versions is None:
        return None
    tensor = versions.tensor
    return {
        "name": tensor.name,
        "kind": tensor.kind,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "saved_version": versions.saved,
        "current_version": versions.current,
    }


def _message(text: str) -> dict[str, Any]:
    """The key of a summary and what stands in its braces, for whoever tells it in their own words.
    An argument that is a text of its own is an object with the same two fields."""
    if not isinstance(text, Message):
        return {"summary_key": None, "summary_arguments": {}}
    told = plain(text)
    return {"summary_key": told["key"], "summary_arguments": told["arguments"]}


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON values, as all documents have it."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "summary": finding.summary,
        **_message(finding.summary),
        "iteration": finding.iteration,
        "tensor": _tensor(finding.tensor),
        "saved": _saved(finding.saved),
        "mutated": _place(finding.mutated, "by"),
        "freed": _place(finding.freed, "by"),
        "failed": _place(finding.failed, "call"),
        "cause": _place(finding.cause, "by"),
        "related": [
            {
                "tensor": _tensor(each.tensor),
                "saved": _saved(each.saved),
                "mutated": _place(each.mutated, "by"),
            }
            for each in finding.related
        ],
        "help": [
            {
                "text": each.text,
                "before": each.before,
                "after": each.after,
                "file": each.file,
                "line": each.line,
            }
            for each in finding.help
        ],
        "notes": list(finding.notes),
        "measured": finding.measured,
        "ranks": list(finding.ranks),
    }


def _optimizer(optimizer: OptimizerInfo, trace: Trace) -> dict[str, Any]:
    def names(indices: tuple[int, ...]) -> list[str]:
        return [trace.tensors[index].name or f"parameter {index}" for index in indices]

    return {
        "name": optimizer.name,
        "class": optimizer.class_name,
        "steps": optimizer.steps,
        "location": _location(optimizer.at),
        "owns": names(optimizer.owns),
        "touched": names(optimizer.touched),
        "untouched": [{"name": each.name, "why": each.why} for each in optimizer.untouched],
        "others_changed": names(optimizer.others_changed),
        "gradients_from": {
            each.loss: {**_share(each), **_inside(each.loss, optimizer, trace)}
            for each in optimizer.shares
        },
        "cosines": [list(each) for each in optimizer.cosines],
        "sampled_steps": list(optimizer.sampled_steps),
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "line": share.line,
        "parameters": share.parameters,
        "norm": share.norm,
        "share": share.share,
        "cosine_to_total": share.cosine_to_total,
        "change": share.change,
    }


def _inside(loss: str, optimizer: OptimizerInfo, trace: Trace) -> dict[str, Any]:
    """What one loss contributed to the gradients of each network and of each parameter that the
    optimizer holds."""
    by_parameter: dict[str, dict[str, Any]] = {}
    # By owner: [inner product of this loss's gradient with the whole, squared norm of the whole],
    # and the squared norm of each loss's gradient.
    sums: dict[str, list[float]] = {}
    norms: dict[str, dict[str, float]] = {}
    for mix in optimizer.by_parameter:
        tensor = trace.tensors[mix.tensor]
        owner = tensor.owner or "?"
        total = sums.setdefault(owner, [0.0, 0.0])
        squares = norms.setdefault(owner, {})
        total[1] += mix.norm**2
        for share in mix.shares:
            squares[share.loss] = squares.get(share.loss, 0.0) + share.norm**2
            if share.loss == loss:
                total[0] += (share.cosine_to_total or 0.0) * share.norm * mix.norm
                by_parameter[tensor.name or f"parameter {mix.tensor}"] = {
                    "norm": share.norm,
                    "share": share.share,
                    "cosine_to_total": share.cosine_to_total,
                }
    by_owner = {}
    for owner, squares in norms.items():
        norm = math.sqrt(squares.get(loss, 0.0))
        whole = sum(map(math.sqrt, squares.values()))
        along, square = sums[owner]
        by_owner[owner] = {
            "norm": norm,
            "share": norm / whole if whole else 0.0,
            "cosine_to_total": along / (norm * math.sqrt(square)) if norm and square else None,
        }
    return {"by_owner": by_owner, "by_parameter": by_parameter}

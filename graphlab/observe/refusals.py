"""In-place writes that autograd forbids: to a leaf that requires grad, or to some views."""

from __future__ import annotations

from types import FrameType
from typing import Any

from graphlab.observe.refusals.cut import making
from graphlab.observe.notes import RawRefused
from graphlab.observe.iterations import Loops
from graphlab.observe.names import Named, Names
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.places import locate
from graphlab.source.wording import target_text
from graphlab.observe.tensors import base_of, describe, is_leaf, is_tensor, kind_of, requires_grad
from graphlab.observe.hooks.line_tracer import Tracer


def refusal(
    target: Any, tracer: Tracer, loops: Loops, files: UserFiles, by: str, frame: FrameType
) -> RawRefused | None:
    """What a failed write was about, or None when autograd had no reason to forbid it."""
    import torch

    if not is_tensor(target) or not torch.is_grad_enabled():
        return None
    base = base_of(target)
    leaf = target if base is None else base
    if is_leaf(leaf) and requires_grad(leaf):
        kind, subject = "leaf", leaf
    elif base is not None:
        kind, subject = "view", target
    else:
        return None
    user = user_frame(frame, files)
    spot = tracer.spot(frame)
    known = Names(files).gather(user).of_tensor(subject)
    named = known[1] if known is not None and known[1].kind == "parameter" else None
    text = target_text(locate(*spot)) if spot is not None and frame is user else None
    if named is None and text is not None:
        named = Named(text, kind_of(subject), None)
    if named is None:
        named = known[1] if known is not None else Named("", kind_of(subject), None)
    info = describe(subject, named.name or None, named.kind, named.owner)
    made = making(user, named.name, files) if kind == "view" else None
    return RawRefused(tracer.seq(), spot, by, info, kind, loops.iteration(user), made)

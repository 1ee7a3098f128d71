"""What a traceback alone tells of the corpus, against the truth beside it: never a wrong line.

This file steps no optimizer and writes nothing: it calls the scripts, so it is searched with them.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab
from graphlab.api.explanation import Explanation

CORPUS = Path(__file__).resolve().parent.parent / "corpus" / "errors"
TRUTHS = {path.stem: json.loads(path.read_text()) for path in sorted(CORPUS.glob("*.json"))}
# What changed between a checkpoint's two passes cannot be seen afterwards, nor which hook ran last,
# which write of .data it was, what the graph passed by, which term of a loss is complex, and which
# line made an optimizer or unscaled its gradients before.
UNSEEN = {
    "adapted_weights_left_out",
    "checkpoint_then_eval",
    "complex_amplitude",
    "gradient_tap_gives_back_a_mean",
    "layer_hook_adds_a_gradient",
    "pool_released_before_backward",
    "resumed_with_the_body_frozen",
    "sampler_refreshes_its_state",
    "sparse_vectors_decayed",
    "spectral_term_of_several",
    "tokens_dropped_by_numpy",
    "unscaled_with_each_micro_batch",
}
# What this torch cannot do; and no traceback tells whether a gradient that is None was ever there.
RAISED = {
    name: truth
    for name, truth in TRUTHS.items()
    if truth["outcome"] == "raised"
    and torch.__version__ < truth.get("torch_below", "9")
    and truth["code"] != "GL110"
}


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Explanation]:
    def run(path: Path, *arguments: str) -> Explanation:
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        out = io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            pytest.raises(Exception) as caught,
        ):
            runpy.run_path(str(path), run_name="__main__")
        return graphlab.explain(caught.value)

    return run


@pytest.mark.parametrize("name", RAISED)
def test_no_claim_is_wrong(explained: Any, name: str) -> None:
    truth = RAISED[name]
    explanation = explained(CORPUS / f"{name}.py")
    assert explanation.trace.unseen == ()
    (finding,) = explanation.findings
    assert finding.code == truth["code"]
    assert finding.failed.at.line == truth["failed"]
    # Never recorded, so never claimed.
    assert finding.saved is None or finding.saved.at is None or truth["code"] == "GL011"
    for place, key in ((finding.mutated, "mutated"), (finding.freed, "freed")):
        # A write that was refused is what the traceback ends at: no more is inferred of it.
        if place is not None and place != finding.failed:
            assert place.what.endswith(" (inferred)")
            assert any(note.startswith("inferred: ") for note in finding.notes)
            if place.at is not None and truth.get(key) is not None:
                assert place.at.line == truth[key]
    if finding.mutated is not None and truth.get("mutated_by"):
        assert truth["mutated_by"] in finding.mutated.what
    unseen = name in UNSEEN and finding.cause is None
    if truth.get("cause") is not None and not unseen:
        assert finding.cause.at.line == truth["cause"]
    named = finding.tensor.tensor.name if finding.tensor is not None else None
    known = truth.get("tensor_any_of") or [truth["tensor"]]
    if named is not None and finding.tensor.tensor.kind in ("parameter", "buffer"):
        assert named in known or known == [None]
    if finding.code == "GL001":
        assert finding.tensor.saved < finding.tensor.current


def test_the_corpus_has_each_code() -> None:
    codes = {f"GL{n:03}" for n in range(16)}
    assert {truth["code"] for truth in RAISED.values()} >= codes


@pytest.mark.parametrize(
    ("name", "mutated"),
    [
        ("gan_one_forward", "optimizerD.step()"),
        ("char_rnn_retain_graph", "optimizer.step()"),
        ("noisy_dqn_resample", "buffer.normal_()"),
        ("spectral_norm_buffer", "self.u.copy_()"),
        ("stacked_cells_hidden_list", "self.hidden[i] += …"),
        ("target_critic_ema", "torch._foreach_lerp_()"),
    ],
)
def test_what_can_be_inferred_is(explained: Any, name: str, mutated: str) -> None:
    (finding,) = explained(CORPUS / f"{name}.py").findings
    assert finding.mutated.what == f"{mutated} (inferred)"
    assert finding.mutated.at.line == RAISED[name]["mutated"]


@pytest.mark.parametrize("name", ["rollback_on_spike", "vq_codebook_restart"])
def test_two_possible_writers_are_both_named(explained: Any, name: str) -> None:
    """The optimizer owns the tensor and has stepped, and yet it was another that wrote."""
    (finding,) = explained(CORPUS / f"{name}.py").findings
    assert finding.mutated is None
    (note,) = [note for note in finding.notes if note.startswith("inferred: ")]
    assert ".step() in line" in note
    assert f"in line {RAISED[name]['mutated']}" in note

"""Tells why a backward failed as it ran, where no saved tensor was written or freed."""

from __future__ import annotations

from graphlab.observe.failures.call import Diagnosis, FailedCall
from graphlab.observe.failures.checkpoints import checkpoint_mismatch
from graphlab.observe.failures.contract import broken_contract, missing_backward
from graphlab.observe.failures.hooks import misfit_of_hook
from graphlab.observe.failures.node import failed_node
from graphlab.observe.failures.replaced import replaced_data
from graphlab.observe.failures.second_derivative import no_second_derivative


def diagnose(call: FailedCall) -> Diagnosis:
    """The most exact account that can be given of the failure."""
    found = checkpoint_mismatch(call)
    if found is None and call.began:
        found = no_second_derivative(call) or misfit_of_hook(call) or broken_contract(call)
        found = found or missing_backward(call) or replaced_data(call)
    if found is not None:
        return found
    if not call.began:
        # Refused by torch's own Python, before the engine ran.
        return Diagnosis("failed")
    return Diagnosis("failed", failed_node(call))

"""What was refused without a backward or an operation of autograd's, from the traceback alone."""

from __future__ import annotations

from graphlab.observe.postmortem.not_finite import refused_number
from graphlab.observe.refusals.traceback import ErrorTraceback
from graphlab.observe.sightings.usage.refused.lone_values import lone_values
from graphlab.observe.sightings.usage.refused.refusals import refused_optimizer
from graphlab.observe.sightings.usage.refused.transforms import function_unfit
from graphlab.observe.sightings.usage.refused.unfit import given_unfit
from graphlab.source.files import UserFiles
from graphlab.trace.sightings import Sighting


def refused_elsewhere(error: Exception, tb: ErrorTraceback, files: UserFiles) -> Sighting | None:
    """What a check of the program's, a norm layer, a Function or an optimizer refused. The lines
    before it, which made an optimizer or unscaled its gradients, are not known here."""
    return (
        refused_number(error, tb, files)
        or lone_values(error, files)
        or given_unfit(error, files)
        or function_unfit(error, files)
        or refused_optimizer(error, files, lambda optimizer: None, lambda optimizer: None)
    )

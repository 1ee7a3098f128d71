"""Repairs of what mixes up or leaves out the examples that a loss is trained by."""

"""Repairs of what lost its graph: guards that reach too far, and calls that leave it."""

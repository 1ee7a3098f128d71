"""Watchers of the examples that a loss is trained by."""

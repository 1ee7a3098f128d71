"""Repairs of how a model is trained: the mode that it is in, and what its loss compares."""

"""Watchers of where gradients, and what an optimizer makes of them, go."""

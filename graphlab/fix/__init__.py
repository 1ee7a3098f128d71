"""Repairs that were run: each is tried in a process of its own before it is shown."""

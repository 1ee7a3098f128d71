"""Repairs: edits of the user's own statements, worked out from their syntax tree."""

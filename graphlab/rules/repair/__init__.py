"""Repairs: edits of the user's statements, computed from the syntax tree."""

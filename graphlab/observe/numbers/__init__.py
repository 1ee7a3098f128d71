"""Finds where the first number that is not finite was made, and what became of it."""

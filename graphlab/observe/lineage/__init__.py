"""Reads the source of a value backwards: where it lost its graph, and what froze it."""

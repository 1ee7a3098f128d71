"""Reads the user's source and the values of its variables, without running any of its code."""

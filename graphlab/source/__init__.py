"""Reads the user's program: its source, and what its variables hold. Runs none of its code."""

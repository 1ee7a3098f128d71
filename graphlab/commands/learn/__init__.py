"""The verbs of graphlab learn."""

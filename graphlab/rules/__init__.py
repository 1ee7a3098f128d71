"""The rules: pure functions of a Trace that yield Findings."""

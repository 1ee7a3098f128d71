"""Repairs of what an optimizer holds, and of when it steps."""

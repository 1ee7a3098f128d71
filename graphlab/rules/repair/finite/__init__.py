"""Repairs of an operation at a value where it, or its slope, is not finite."""

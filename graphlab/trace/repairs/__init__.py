"""Repairs that were tried, as plain data."""

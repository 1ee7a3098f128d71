"""Exercises: small broken programs, and what it takes to pass them."""

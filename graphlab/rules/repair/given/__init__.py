"""Repairs of what torch was given and does not take, in its shape, its type or its number."""

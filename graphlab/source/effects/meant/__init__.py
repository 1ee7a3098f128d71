"""Reads from the words of the source what a part of it is meant for."""

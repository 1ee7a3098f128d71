"""Sightings of modules that a library's call has given."""

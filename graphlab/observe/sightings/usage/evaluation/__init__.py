"""Watchers of how a model is evaluated: with a dropout that goes on, or in training mode."""

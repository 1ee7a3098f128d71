"""The part of graphlab run that is about several ranks."""

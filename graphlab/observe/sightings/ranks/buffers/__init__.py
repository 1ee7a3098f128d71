"""Buffers of wrapped modules: what broadcasts write to them, and those that nothing keeps alike."""

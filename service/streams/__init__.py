"""Streams: one observation, one step, never lost."""

"""Draws the bundled portraits from numbers alone; a developer tool, not part of the running product."""

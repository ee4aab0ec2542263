"""Chaos: drills that break something, or undo it, and watch the repair."""

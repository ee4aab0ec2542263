"""Crash: a run is killed at every journal entry and at many moments, and `rollproof undo` has to put all of it back."""

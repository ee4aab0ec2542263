"""Crash: a run is killed at every journal entry and at many times, and `rollproof undo` has to restore everything."""

"""Faults: what is broken on purpose, one at a time, and put back. Each fault is one file (docs/faults/README.md).

Every change is in the undo journal before it is made; nothing here may touch an object outside of the target.
"""

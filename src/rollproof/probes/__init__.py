"""Probes look and record; they change nothing but the lock's own annotation (to measure the watch delay)."""

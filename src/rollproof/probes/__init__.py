"""Probes read and record; they change nothing but the annotation of our own Lease (to measure the watch delay)."""

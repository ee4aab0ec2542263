"""Fuzz: what comes from outside, bent in every way, never ends in a traceback, a hang, or a PASS that was none."""

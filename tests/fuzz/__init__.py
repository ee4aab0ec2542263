"""Fuzz: mutated input from outside never ends in a traceback, a hang, or a PASS that was none before."""

"""Commandline: a command that a message tells somebody to type, so that a shell takes it as it is meant."""

from __future__ import annotations

import shlex

__all__ = ["typed"]


def typed(*words: object) -> str:
    """The command in backticks; a folder's name with a space or a quote in it stays one word."""
    return f"`rollproof {shlex.join(map(str, words))}`"

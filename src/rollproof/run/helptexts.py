"""Texts below the help of a command: examples, exit codes, the drills. They import nothing heavy."""

from __future__ import annotations

from rollproof.suites import drill_names, drill_table

__all__ = ["drills_text", "epilog"]

_EXITS = """\b
Exit codes:
  0  PASS: every promise was proven
  1  FAIL: a promise was broken
  2  the command or the target file is wrong; nothing was touched
  3  INCONCLUSIVE: no claim is possible, and the message says why
  4  not everything is known to be as it was: the undo or its last look failed, `rollproof undo` tries again"""


def epilog(*examples: str) -> str:
    """The examples, one a line, and the exit codes."""
    lines = "\n".join(f"  {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n{_EXITS}"


def drills_text() -> str:
    """The table of drills."""
    names = drill_names()
    width = max((len(name) for name in names), default=0)
    return "\n".join(["\b\nDrills:", *(f"  {name:{width}}  {drill_table()[name].summary}" for name in names)])

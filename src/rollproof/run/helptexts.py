"""Texts below the help of a command: examples, exit codes, the drills. They import nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

from rollproof.suites import drill_names, drill_table

__all__ = ["DOCTOR", "LAB", "PLAN", "PRINTED", "SANDBOX", "UNDO", "VERDICT", "drills_text", "epilog"]

# What each exit code means, for each kind of command: a code that a command never ends with is not named.
_WRONG = {2: "the command or the target file is wrong; nothing was touched"}
VERDICT = {
    0: "PASS: every promise was proven",
    1: "FAIL: a promise was broken",
    **_WRONG,
    3: "INCONCLUSIVE: no claim is possible, and the message says why",
    4: "not everything is known to be as it was: the undo or its last look failed, `rollproof undo` tries again",
}
PLAN = {
    0: "this is the plan",
    **_WRONG,
    3: "there is no plan: the message says who did not answer, or what is in the way",
}
UNDO = {
    0: "all is put back, or nothing was left to undo",
    2: "the command, the folder or the target file is wrong; nothing was touched",
    3: "something was left as it is, because somebody else changed it since; or it could not be tried now",
    4: "not everything is known to be as it was: the same command tries again",
}
DOCTOR = {0: "these drills can run", **_WRONG, 3: "something is in the way: its line says what to do"}
PRINTED = {
    0: "it was printed or written, whatever it says",
    2: "the command or a file is wrong; nothing was written",
    3: "it could not be done: the message says why",
}
LAB = {0: "done", 1: "a step failed", 2: "the command is wrong, or something that it needs is missing"}
SANDBOX = {
    0: "it was ended by Ctrl-C; with COMMAND: that ended with 0",
    2: "the command is wrong",
    3: "it does not work here",
}


def epilog(*examples: str, exits: Mapping[int, str] = VERDICT, more: str = "") -> str:
    """The examples, one a line, and the exit codes; `more` is about those that are not in the table."""
    lines = "\n".join(f"  {example}" for example in examples)
    codes = "\n".join([*(f"  {code}  {meaning}" for code, meaning in exits.items()), *([f"  {more}"] if more else [])])
    return f"\b\nExamples:\n{lines}\n\n\b\nExit codes:\n{codes}"


def drills_text() -> str:
    """The table of drills."""
    names = drill_names()
    width = max((len(name) for name in names), default=0)
    return "\n".join(["\b\nDrills:", *(f"  {name:{width}}  {drill_table()[name].summary}" for name in names)])

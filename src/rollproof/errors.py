"""Errors: everything that a user may see instead of a verdict, each with the exit code that it ends in.

    RollproofError                 exit 3: no claim is possible
    ├── InputError                 exit 2: the command or a file is wrong, nothing was touched
    │   ├── TargetFileError        the target file: all its mistakes in one message
    │   ├── RunFolderError         a run folder that is missing, empty, cut off or of a newer version
    │   └── FenceError             the target's fences, or production, forbid it
    ├── NotPutBackError            exit 4: an undo was begun, and did not come to its end
    └── CannotJudgeError           exit 3: the request is right, but now is not the time, or permissions are missing
        ├── AbortedError           the drill's traffic lost more than was allowed: it ends at once
        ├── LockedError            another run holds the target
        ├── UnansweredError        a change was asked for and no answer came: it may have been made, or may still be
        └── OutsideDataError       an API, git, the app or a log said something of a shape that it must not have

Clients add their own (an API's answer, git's refusal) below RollproofError. An exception that is none of these is a
bug of ours: one line for the user, the rest in a log file, and the run is INCONCLUSIVE.

`RollproofFailure` and `Inconclusive` are no errors but verdicts on their way out of a drill: pytest shows the first as
a failure and the second as an error.

A message says who, what was expected and what was seen; `hint` says what to do next. No message holds a secret.
"""

from __future__ import annotations

__all__ = [
    "AbortedError", "CannotJudgeError", "FenceError", "Inconclusive", "InputError", "LockedError", "NotPutBackError",
    "OutsideDataError", "RollproofError", "RollproofFailure", "RunFolderError", "TargetFileError", "UnansweredError",
]  # fmt: skip


class RollproofError(Exception):
    """Base of all: `str(error)` is for people, `hint` is the next step, `exit_code` what the process ends with."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(RollproofError):
    """What was asked for is wrong; the person must change it."""

    exit_code = 2


class TargetFileError(InputError):
    """The target file is missing, not TOML, or says something that cannot be."""


class RunFolderError(InputError):
    """The folder is no run, or not a whole one, or of a newer version."""


class NotPutBackError(RollproofError):
    """An undo was interrupted: the journal has what is still to be done."""

    exit_code = 4


class FenceError(InputError):
    """Allowed by nobody: outside of the fences, or production without the person's word."""


class CannotJudgeError(RollproofError):
    """Rightly asked, but it cannot be judged now: unreachable, no right, not at rest."""


class AbortedError(CannotJudgeError):
    """A drill under load loses more than the target file allows; whoever waits for something stops, and undoes."""


class LockedError(CannotJudgeError):
    """Another run is at work on this target."""


class UnansweredError(CannotJudgeError):
    """A change was asked for (a push, a PATCH, a POST, a DELETE) and no answer came.

    Unknown is not "no": the change may have been made, or may still be. Whoever catches this must leave the journal's
    entry open, and look again later.
    """


class OutsideDataError(CannotJudgeError):
    """Data from outside (an API object, git's answer, the app's answer, a log line) is not of the shape it must have.

    The message says whose data it was, which field, what was expected and what was seen (shortened).
    """


class RollproofFailure(AssertionError):  # noqa: N818 - it is a verdict, and reads as one in a test report
    """A checker said FAIL."""


class Inconclusive(Exception):  # noqa: N818
    """No claim is possible. Never a skip: skips are green."""

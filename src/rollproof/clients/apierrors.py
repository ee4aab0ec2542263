"""API errors: what can be wrong with an answer of the Kubernetes API, as exceptions. Speaks to nobody."""

from __future__ import annotations

from rollproof.core.outside import Outside, parsed
from rollproof.errors import CannotJudgeError, OutsideDataError, UnansweredError

__all__ = ["ApiError", "LostAnswerError", "SilenceError", "UnreachableError", "api_error"]

_MESSAGE_MAX = 1000


class UnreachableError(CannotJudgeError):
    """The API server did not answer."""


class LostAnswerError(UnreachableError, UnansweredError):
    """A change was sent to the API server and no whole answer came: it may have been made, or may still be."""


class SilenceError(UnreachableError):
    """A watch on which nothing came for longer than the interval of bookmarks: events may be lost."""


class ApiError(CannotJudgeError):
    """The API server said no: `status` is the HTTP status, `reason` its word (NotFound, Forbidden, Conflict, ...)."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason


def api_error(status: int, text: str, what: str) -> ApiError:
    """The refusal of `what`, with the words of its Status object if it is one."""
    try:
        answer = Outside.of(parsed(text, what), what)
        message, reason = answer.text("message", text), answer.text("reason")
    except OutsideDataError:
        message, reason = text, ""
    hint = "rollproof doctor lists the permissions that are needed" if status in (401, 403) else ""
    story = f"{what}: {status} {reason} {message[:_MESSAGE_MAX]}"
    return ApiError(story.strip(), hint, status=status, reason=reason)

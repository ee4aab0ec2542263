"""API errors: what can be wrong with an answer of the Kubernetes API, as exceptions. Speaks to nobody."""

from __future__ import annotations

from rollproof.core.outside import Outside, parsed
from rollproof.errors import CannotJudgeError, OutsideDataError, UnansweredError

__all__ = ["ApiError", "LostAnswerError", "SilenceError", "UnreachableError", "api_error"]

_MESSAGE_MAX = 1000
_NOBODY = "system:anonymous"  # who asks without credentials


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
    said = "" if message.strip() == reason else message[:_MESSAGE_MAX]
    return ApiError(f"{what}: {status} {reason} {said}".strip(), _hint(status, message), status=status, reason=reason)


def _hint(status: int, message: str) -> str:
    if status == 401 or (status == 403 and _NOBODY in message):
        return (
            "the kubeconfig's credentials are missing, wrong or expired: try `kubectl get namespaces` with its context"
        )
    return "`rollproof rbac DRILL` prints the permissions that are needed" if status == 403 else ""

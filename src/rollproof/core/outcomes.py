"""What an outcome means for the target: good, its failure, a refusal by a rate limit, or no statement about it at all.

The names are the taxonomy of docs/measurement.md 5, as the generator writes them. One place decides, so that the
checkers, the outages and the reports cannot differ. "slow" is no outcome: a late answer is an answer.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rollproof.core.requests import RequestLog

__all__ = [
    "CLOSED_UNANSWERED", "LATE", "Kind", "counted", "kind", "kinds", "lane_mask", "may_be_background", "named",
    "of_lateness", "was_silence",
]  # fmt: skip

LATE = "answer.late"  # a whole, good answer that came after `traffic.longest_ms_max`: no generator writes it

_LIMITED = frozenset({"http.403", "http.429"})
_OWN = frozenset(
    f"connect.{cause}" for cause in ("dns", "EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM", "EACCES", "EPERM")
) | {"unfinished"}
_LOST = ("connect.", "send.", "read.", "http.5")
_WRONG = "read.malformed"  # something answered, and it was no HTTP
_TOO_SLOWLY_ASKED = "http.408"  # the server's word for a client that takes too long to send its request
# The connection was closed while the first byte of the answer was waited for. EPIPE: over TLS a read may have to write.
CLOSED_UNANSWERED = ("read.eof", "read.ECONNRESET", "read.EPIPE")
_CLOSED = ("send.", *CLOSED_UNANSWERED)  # what a server does to an idle connection, too
_LATE_NS = 5_000_000  # a dispatch that is later counts as late (EngineFacts.late_ns)


class Kind(IntEnum):
    """What one attempt says."""

    GOOD = 0
    HARD = 1  # the target, or the way to it, failed the request
    LIMITED = 2  # a rate limit or WAF in front refused it: the load is too high to tell anything
    OWN = 3  # the generator's side failed (name lookup, no port left, no outcome): nothing is known about the target


def kind(outcome: str) -> Kind:
    """The meaning of an outcome's name; an unknown name that is not ours counts against the target."""
    if not outcome:
        return Kind.GOOD
    if outcome in _LIMITED:
        return Kind.LIMITED
    return Kind.OWN if outcome in _OWN or outcome.startswith("client.") else Kind.HARD


def kinds(log: RequestLog) -> NDArray[np.uint8]:
    """The kind of every row."""

    def make() -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = np.array([kind(name) for name in log.outcomes], np.uint8)[log.column("outcome")]
        return found

    return log.made_once("kinds", make)


def may_be_background(log: RequestLog) -> NDArray[np.bool_]:
    """Rows that were lost in a way that also happens by itself: no connection, no whole answer, a 5xx, or too late.

    A wrong answer (another body, version, status, or no HTTP) is none of these: it does not get rare by being ignored.
    """
    lost = [name == LATE or (name.startswith(_LOST) and name != _WRONG and kind(name) is Kind.HARD)
            for name in log.outcomes]  # fmt: skip
    return log.chosen("outcome", lost)


def was_silence(log: RequestLog) -> NDArray[np.bool_]:
    """Rows that were never answered within their deadline: those were failing all the time since they were sent."""
    ends = [name.endswith(".timeout") for name in log.outcomes]
    return log.made_once("silence", lambda: log.chosen("outcome", ends))


def of_lateness(log: RequestLog) -> NDArray[np.bool_]:
    """Rows that failed in a way which a client that gets no CPU makes by itself; of such a one they are no evidence.

    It did not look in time, asked too slowly, or came late to a connection that the server closes when it is idle. An
    answer, a refusal, and a connection that was cut under a request that was sent in time are somebody else's act.
    """
    rows = log.rows
    late = rows["reused"] & (rows["send_ns"] - rows["intended_ns"] > _LATE_NS)
    closed = log.chosen("outcome", [name.startswith(_CLOSED) for name in log.outcomes])
    found: NDArray[np.bool_] = was_silence(log) | named(log, _TOO_SLOWLY_ASKED) | (closed & late)
    return found


def named(log: RequestLog, outcome: str) -> NDArray[np.bool_]:
    """Rows with exactly this outcome."""
    return log.chosen("outcome", [name == outcome for name in log.outcomes])


def counted(rows: NDArray[np.bool_]) -> int:
    """How many rows of a mask. Its `sum()` turns each into a whole number first: ten times as long for a million."""
    return int(np.count_nonzero(rows))


def lane_mask(log: RequestLog, lane: str) -> NDArray[np.bool_]:
    """The rows of one lane; none if there is no such lane."""
    if lane not in log.lanes:
        return np.zeros(len(log.rows), dtype=bool)
    return log.made_once(f"lane {lane}", lambda: log.column("lane") == log.lanes.index(lane))

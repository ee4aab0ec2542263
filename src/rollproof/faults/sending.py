"""Sending: the request of one change, and what becomes of its entry in the journal if the answer is no, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.errors import CannotJudgeError, RollproofError, UnansweredError
from rollproof.store.journal import Entry, Journal, Undone

__all__ = ["sending", "take_back"]


@contextmanager
def sending(journal: Journal, entry: Entry) -> Iterator[None]:
    """Around the request. What was refused is settled, what was not answered stays open; either is raised again."""
    try:
        yield
    except UnansweredError:
        journal.gave_up(entry)
        raise
    except UnreachableError:
        journal.gave_up(entry, sent=False)
        raise
    except ApiError as error:
        if error.status < 500:  # refused: nothing was changed
            journal.settle(entry, Undone("not-needed", reason=f"refused: {error.reason}"))
        raise


def take_back(what: str, undo: Callable[[], Undone]) -> None:
    """After half of a deed of several requests, inside of `sending`. CannotJudgeError where that fails.

    A refusal of this one must not pass for a refusal of the deed, which changed nothing; nor must a part of it that is
    somebody else's by now, and is left. The entry stays open instead, and the end of the run looks again.
    """
    try:
        undone = undo()
    except RollproofError as error:
        undone = Undone("failed", reason=str(error))
    if undone.how in ("failed", "left"):
        raise CannotJudgeError(f"a part of {what} was done and could not be taken back: {undone.reason}")

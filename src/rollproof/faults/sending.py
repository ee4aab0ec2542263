"""Sending: the request of one change, and what becomes of its entry in the journal if the answer is no, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.errors import UnansweredError
from rollproof.store.journal import Entry, Journal, Undone

__all__ = ["sending"]


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

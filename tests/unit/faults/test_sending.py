"""Half a deed that is taken back: what does not go back must not pass for a refusal of the deed."""

from __future__ import annotations

import pytest

from rollproof.clients.kube import ApiError
from rollproof.errors import CannotJudgeError
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone


@pytest.mark.parametrize("how", ["done", "not-needed"])
def test_what_went_back_is_silent(how: str) -> None:
    take_back("a deed", lambda: Undone(how))


@pytest.mark.parametrize("how", ["failed", "left"])
def test_what_did_not_go_back_is_told(how: str) -> None:
    with pytest.raises(CannotJudgeError, match="a part of a deed was done and could not be taken back: why"):
        take_back("a deed", lambda: Undone(how, reason="why"))


def test_a_refusal_of_the_undo_is_none_of_the_deed() -> None:
    def refused() -> Undone:
        raise ApiError("forbidden", status=403)

    with pytest.raises(CannotJudgeError, match="could not be taken back: forbidden"):
        take_back("a deed", refused)

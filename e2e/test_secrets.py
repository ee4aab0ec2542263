"""Drill: no secret's value is in git, in a live object, an event, Argo CD's words or a log. Nothing is changed."""

from __future__ import annotations

import pytest

from rollproof.run.drill import Run
from rollproof.run.secrets import SecretsDrill


@pytest.mark.drill("secrets", rows=(4,), smoke=2, group="read-only", read_only=True, reads=("secrets",))
def test_no_secret_is_where_it_must_not_be(run: Run, secrets: SecretsDrill) -> None:
    """Look for the values of the named Secrets, in all their forms, wherever they might have got to."""
    secrets.search_all()
    run.judge("secrets", "watches")

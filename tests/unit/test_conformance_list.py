"""The conformance list grows with what the harness uses: a kind without a row is a promise that nobody checks."""

from __future__ import annotations

import pytest

from rollproof.clients.kube import KINDS
from tests.conformance.rows import ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_client_has_a_row(kind: str) -> None:
    assert [row.name for row in ROWS if row.kind == kind], f"add a row for {kind} to tests/conformance"


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)

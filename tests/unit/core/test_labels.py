"""What marks our objects in a cluster: the words by which people and later versions find what earlier ones made."""

from __future__ import annotations

import pytest

from rollproof.core.labels import labels_of


@pytest.mark.parametrize(
    ("run_id", "value"),
    [
        ("20260101T020304Z-drift", "20260101T020304Z-drift"),
        ("a" * 63, "a" * 63),
        ("a" * 64, "a" * 63),  # of a label's value; the API server refuses more
        ("a" * 62 + "-b", "a" * 62),  # which begins and ends with a letter or a digit
        ("_.a.-", "a"),
    ],
)
def test_the_labels_of_what_a_run_creates(run_id: str, value: str) -> None:
    assert labels_of(run_id) == {"app.kubernetes.io/managed-by": "rollproof", "rollproof.io/run": value}

"""No test knows the secrets of another: the register belongs to the process."""

from __future__ import annotations

from collections.abc import Iterator

import examples  # noqa: F401 - Hypothesis' profile
import pytest

from rollproof.redaction import SECRETS


@pytest.fixture(autouse=True)
def _no_secrets_known() -> Iterator[None]:
    SECRETS.clear()
    yield
    SECRETS.clear()

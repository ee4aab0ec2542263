from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _short_look_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._STAYS_S", 0.02)

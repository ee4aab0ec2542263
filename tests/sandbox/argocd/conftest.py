"""Fixtures with a `Rig` for the tests of Argo CD's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollproof_sandbox.settings import ArgoCd
from tests.sandbox.argocd.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A rig without defects."""
    return Rig(tmp_path)


@pytest.fixture
def rig_with(tmp_path: Path) -> Callable[..., Rig]:
    """A function that makes a rig with other settings."""

    def make(spec: dict[str, Any] | None = None, **settings: Any) -> Rig:
        return Rig(tmp_path, ArgoCd(**settings), spec)

    return make

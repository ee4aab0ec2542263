"""Rigs for the tests of Argo CD's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollproof_sandbox.settings import ArgoCd
from tests.sandbox.argocd.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A sound one."""
    return Rig(tmp_path)


@pytest.fixture
def rig_with(tmp_path: Path) -> Callable[..., Rig]:
    """One with settings of its own."""

    def make(spec: dict[str, Any] | None = None, **settings: Any) -> Rig:
        return Rig(tmp_path, ArgoCd(**settings), spec)

    return make

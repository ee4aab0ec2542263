"""Fixtures of the workload tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from rollproof_sandbox.settings import Settings
from tests.sandbox.workloads.living import Begin, World


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start a world with these settings."""
    with contextlib.ExitStack() as stack:

        def start(settings: Settings) -> World:
            world = World(settings)
            stack.callback(world.close)
            return world

        yield start

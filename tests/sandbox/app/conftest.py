"""Fixtures of the pod process's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sandbox.app.driven import Pod, pods


@pytest.fixture
def start() -> Iterator[Callable[..., Pod]]:
    with pods() as starter:
        yield starter

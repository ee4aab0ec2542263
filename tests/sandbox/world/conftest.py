"""Sandboxes that are ended with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandboxes import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    made: list[Sandbox] = []

    def start(*words: str, name: str = "sandbox", **more: dict[str, str]) -> Sandbox:
        made.append(Sandbox(tmp_path / name, *words, **more))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait()

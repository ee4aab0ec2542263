from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeapi import FakeApi
from run.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    api = FakeApi()
    with api.serve(tmp_path) as kubeconfig:
        yield World(tmp_path, monkeypatch, api, kubeconfig)

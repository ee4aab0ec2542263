from pathlib import Path

import pytest

from lab import gobuild
from lab.steps import Log


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may read or write the lab that runs on this machine, or its cache."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    gobuild.find_go.cache_clear()
    return tmp_path


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "step.log")

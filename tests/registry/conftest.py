"""A real registry for these tests: built once (Go modules, from the cache), started on 127.0.0.1 for each."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import gobuild, registry
from lab.registry import PlatformImage, Running
from lab.steps import Log

Start = Callable[..., Running]


def image(platform: str = "linux/arm64", version: str = "1") -> PlatformImage:
    """A small image: one file that says its version and platform."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as out:
        content = f"{version} {platform}\n".encode()
        entry = tarfile.TarInfo("srv/VERSION")
        entry.size = len(content)
        out.addfile(entry, io.BytesIO(content))
    os, architecture = platform.split("/")
    found = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{found}"]}}
    return PlatformImage(json.dumps(config).encode(), (layer.getvalue(),), platform)


@pytest.fixture(scope="session")
def build_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(tmp_path_factory.mktemp("log") / "build.log")


@pytest.fixture
def start(tmp_path: Path, build_log: Log) -> Iterator[Start]:
    """Starts registries by the settings of lab.registry.started; all are ended after the test."""
    if not gobuild.path_of(gobuild.REGISTRY).exists() and gobuild.find_go() is None:
        pytest.skip(gobuild.missing_go(gobuild.GO_AT_LEAST))
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed (util-linux)")
    with ExitStack() as running:
        count = iter(range(99))

        def begin(**settings: str) -> Running:
            folder = tmp_path / f"registry-{next(count)}"
            return running.enter_context(registry.started(folder, build_log, **settings))

        yield begin

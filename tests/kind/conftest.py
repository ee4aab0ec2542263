"""Fixtures of the tests on the real lab; what they are made of is in lab_user.py."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
from lab_user import STATE, TARGET, EnvRepo, Tool, branch_head, settle

from tests.changedtext import changed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", type=int, default=1, metavar="N", help="one in N of the many cases")
    parser.addoption("--which", type=int, default=0, metavar="K", help="which of them, from 0 on")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.kind)
    share, which = config.getoption("--share"), config.getoption("--which")
    left_out = [item for item in items if _is_one_of_many(item) and crc32(item.name.encode()) % share != which % share]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_one_of_many(item: pytest.Item) -> bool:
    """A case of the track record, or a drill whose rights are tried: together they would take CI's whole time."""
    return item.path.name in ("test_truth.py", "test_rbac.py") and hasattr(item, "callspec")


@pytest.fixture(scope="module")
def at_rest() -> None:
    """For tests that only look: the lab has got over what the files before have done to it."""
    settle(branch_head())


@pytest.fixture
def tool(tmp_path: Path, request: pytest.FixtureRequest) -> Tool:
    """rollproof with a reports folder of this test's own, and the lab at rest on the branch's head."""
    kept = os.environ.get("ROLLPROOF_KEEP_REPORTS")
    reports = Path(kept) / request.node.name if kept else tmp_path / "reports"
    shutil.rmtree(reports, ignore_errors=True)  # of this test in an earlier session, where reports are kept
    reports.mkdir(parents=True)
    settle(branch_head())
    return Tool(reports)


@pytest.fixture(scope="session")
def releases() -> dict[str, str]:
    """Name -> sha of the app's releases, good and bad, as the lab built them."""
    return dict(json.loads((STATE / "releases.json").read_text()))


@pytest.fixture
def env_repo(tmp_path: Path) -> Iterator[EnvRepo]:
    repo = EnvRepo(tmp_path / "env")
    before = repo.tree()
    yield repo
    repo.restore(before, "test: put the env repo back")


@pytest.fixture
def derived_target(tmp_path: Path) -> Callable[..., Path]:
    """targets/lab.toml with some lines replaced: {"rate_per_s = 200": "rate_per_s = 300"}."""

    def derive(**replace: tuple[str, str]) -> Path:
        path = tmp_path / "target.toml"
        path.write_text(changed(TARGET.read_text(), dict(replace.values()), where=TARGET.name))
        return path

    return derive

"""The browser and the pages, once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import tools
from tests.browser.pages import RUNS, Run, made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if why := tools.why_not():
        pytest.skip(why)
    with tools.browser() as opened:
        yield opened


@pytest.fixture(scope="session", params=list(RUNS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(request.param, tmp_path_factory.mktemp("runs"))

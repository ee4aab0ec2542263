"""Shared by all tests: signals as they were, goldens, and a collection of tests without that of garbage.

`pytest --update-golden` writes the goldens anew; look at the difference before committing.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import examples  # noqa: F401 - Hypothesis' profile
import pytest

GOLDEN = Path(__file__).parent / "golden"
# Python looks for garbage after each 700 new objects: 8 % of the CPU of a test run, for there is hardly any.
gc.set_threshold(20_000, 20, 20)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/* from what the code gives now")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """What collecting makes stays until the end: searching it for garbage again and again is a third of the time.

    Each xdist worker collects all tests; as it forks and runs them later, what is frozen is not searched either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A run that was interrupted leaves its signals ignored, for it ends; here the next test would inherit that."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)`: the text must be what tests/golden/<name> holds."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden {name}: run pytest with --update-golden and look at it"
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            pairs = enumerate(zip(text.splitlines(), expected.splitlines(), strict=False), start=1)
            number, (got, want) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
            pytest.fail(f"{name}, line {number}:\n  got      {got[:300]}\n  expected {want[:300]}\n(--update-golden)")

    return check

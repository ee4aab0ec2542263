"""Fetching for tests: once, within one time for all, and what cannot be had is a skip that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.steps import CommandError, LabError, Log
from tests.fetching import Allowance, Fetcher


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_what_is_there_is_not_made_again(cache: Path) -> None:
    (cache / "tool").touch()
    assert Fetcher(Allowance(0)).get(cache / "tool", lambda *_: pytest.fail("made again")) == cache / "tool"


def test_a_failure_is_a_skip_with_its_reason_and_is_not_tried_again(cache: Path) -> None:
    fetcher, tried = Fetcher(Allowance(60)), []

    def refused(log: Log, left_s: float) -> None:
        tried.append(left_s)
        log.say("$ npm install x\nnpm error code ECONNREFUSED\nnpm error A complete log can be found\nexit status 1")
        raise CommandError("`npm install x` ended with status 1")

    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match=r"tool cannot be had here: `npm .*status 1: .*ECONNREFUSED \("):
            fetcher.get(cache / "tool", refused)
    assert len(tried) == 1


def test_all_fetches_share_one_time(cache: Path) -> None:
    clock = iter([0.0, 25.0, 100.0, 140.0])
    allowance = Allowance(60, lambda: next(clock))
    fetcher, given = Fetcher(allowance), []

    def make(_: Log, left_s: float) -> None:
        given.append(left_s)
        raise LabError("no answer")

    for name in ("one", "two", "three"):
        with pytest.raises(pytest.skip.Exception) as told:
            fetcher.get(cache / name, make)
    assert given == [60, 35], "only the time of fetching counts"
    assert "three cannot be had here: the 60 s for all fetches (ROLLPROOF_FETCH_S) are used up" in str(told.value)


def test_half_a_folder_is_never_taken_for_it(cache: Path) -> None:
    wanted = cache / "package"

    def killed(folder: Path, *_: object) -> None:
        (folder / "half").touch()
        raise CommandError("did not end within 1 s")

    def whole(folder: Path, *_: object) -> None:
        assert not list(folder.iterdir())
        (folder / "all").touch()

    with pytest.raises(pytest.skip.Exception):
        Fetcher(Allowance(1)).folder(wanted, killed)
    assert not wanted.exists()
    assert Fetcher(Allowance(1)).folder(wanted, whole) == wanted
    assert [path.name for path in wanted.iterdir()] == ["all"]

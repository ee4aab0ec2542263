"""One object's watch over real HTTP: what it says of the time in which it saw nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakeapi import FakeApi

from rollproof.clients.kube import Kube
from rollproof.faults.sight import Sight


def configmap(**data: str) -> dict[str, object]:
    return {"metadata": {"name": "config"}, "data": data}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    fake = FakeApi()
    fake.put("configmaps", configmap())
    with fake.serve(tmp_path):
        yield fake


@pytest.fixture
def sight(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sight]:  # noqa: ARG001
    monkeypatch.setattr("rollproof.faults.sight._PAUSE_S", 0.01)
    changed = threading.Condition()
    with Sight(Kube("fake", str(tmp_path / "kubeconfig")), "ConfigMap", "shop", "config", changed) as opened:
        yield opened


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def seen(sight: Sight) -> list[str]:
    return [arrival.change for arrival in sight.since(0)]


def test_a_watch_that_ends_goes_on_and_has_lost_nothing(api: FakeApi, sight: Sight) -> None:
    api.end_watches("configmaps")
    api.put("configmaps", configmap(a="1"))
    until(lambda: seen(sight) == ["LISTED", "MODIFIED"])
    assert not sight.lost


def test_while_it_is_away_the_time_counts(api: FakeApi, sight: Sight) -> None:
    api.refusing["configmaps?watch"] = 503
    api.end_watches("configmaps")
    until(lambda: api.refused)
    blind_s = sight.blind_s
    assert blind_s > 0
    assert sight.blind_s > blind_s, "it is still away"
    api.refusing.clear()
    api.put("configmaps", configmap(a="1"))
    until(lambda: "MODIFIED" in seen(sight))
    until(lambda: sight.blind_s == sight.blind_s)  # it is back: the time stands still
    assert not sight.lost


@pytest.mark.parametrize("happened", ["nothing", "changed", "deleted"])
def test_after_a_version_that_is_gone_a_new_list_says_what_was_missed(
    api: FakeApi, sight: Sight, happened: str
) -> None:
    api.refusing["configmaps?watch"] = 503
    api.end_watches("configmaps")
    until(lambda: api.refused)
    if happened == "changed":
        api.put("configmaps", configmap(a="1"))
    elif happened == "deleted":
        api.remove("configmaps", "config")
    api.forget("configmaps")
    api.refusing.clear()
    until(lambda: len(seen(sight)) == 2)
    assert seen(sight)[1] == ("DELETED" if happened == "deleted" else "LISTED")
    assert sight.lost is (happened != "nothing")


def test_a_bug_in_its_thread_is_blindness_and_no_silence(
    api: FakeApi, sight: Sight, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sight, "_take", broken)
    api.put("configmaps", configmap(a="1"))
    sight._thread.join(10)
    assert sight.blind_s > 0

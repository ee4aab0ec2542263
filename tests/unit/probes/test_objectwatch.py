"""One object's watch over real HTTP: what it says of the time in which it saw nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeApi
from owntime import own_time

from rollproof.clients.kube import Kube, WatchStream
from rollproof.probes import waiting
from rollproof.probes.objectwatch import ObjectHistory
from rollproof.probes.waiting import Changes
from tests.waiting import until


def configmap(**data: str) -> dict[str, object]:
    return {"metadata": {"name": "config"}, "data": data}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    fake = FakeApi()
    fake.put("configmaps", configmap())
    with fake.serve(tmp_path):
        yield fake


@pytest.fixture
def history(api: FakeApi, tmp_path: Path) -> Iterator[ObjectHistory]:  # noqa: ARG001 - it serves
    with ObjectHistory(Kube("fake", str(tmp_path / "kubeconfig")), "ConfigMap", "shop", "config", Changes()) as opened:
        yield opened


def seen(history: ObjectHistory) -> list[str]:
    return [arrival.change for arrival in history.since(0)]


def test_a_watch_that_ends_goes_on_and_has_lost_nothing(api: FakeApi, history: ObjectHistory) -> None:
    api.end_watches("configmaps")
    api.put("configmaps", configmap(a="1"))
    until(lambda: seen(history) == ["LISTED", "MODIFIED"])
    assert not history.lost


def test_while_it_is_away_the_time_counts(api: FakeApi, history: ObjectHistory) -> None:
    api.refusing["configmaps?watch"] = 503
    api.end_watches("configmaps")
    until(lambda: api.refused)
    blind_s = history.blind_s
    assert blind_s > 0
    assert history.blind_s > blind_s, "it is still away"
    api.refusing.clear()
    api.put("configmaps", configmap(a="1"))
    until(lambda: "MODIFIED" in seen(history))
    until(lambda: history.blind_s == history.blind_s)  # it is back: the time stands still
    assert not history.lost


@pytest.mark.parametrize("happened", ["nothing", "changed", "deleted"])
def test_after_a_version_that_is_gone_a_new_list_says_what_was_missed(
    api: FakeApi, history: ObjectHistory, happened: str
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
    until(lambda: len(seen(history)) == 2)
    assert seen(history)[1] == ("DELETED" if happened == "deleted" else "LISTED")
    assert history.lost is (happened != "nothing")


def test_a_bug_in_its_thread_is_blindness_and_no_silence(
    api: FakeApi, history: ObjectHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(history, "changed", broken)
    api.put("configmaps", configmap(a="1"))
    history._watch.join(60)
    assert history.blind_s > 0


def test_a_watch_that_connects_while_it_is_ended_is_given_back(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would read it: an open connection would stay behind, and be complained of by whoever runs next."""
    kube, opened = Kube("fake", str(tmp_path / "kubeconfig")), []
    history = ObjectHistory(kube, "ConfigMap", "shop", "config", Changes())
    watch = Kube.watch

    def watching(*args: Any, **words: Any) -> WatchStream:
        stream = watch(*args, **words)
        opened.append(stream)
        history._watch._stopping.set()
        return stream

    with history:
        monkeypatch.setattr(Kube, "watch", watching)
        api.end_watches("configmaps")
        history._watch.join(60)
    assert [stream._stream._response.closed for stream in opened] == [True]


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_state_that_must_last_is_seen_several_times_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_WAKE_S", 0.01)  # after the look that misses nobody wakes it
    changes, looks = Changes(), iter([1, None, 2, 3, 4])
    assert changes.wait(lambda: next(looks), timeout_s=60, in_a_row=3) == 2, "the first of the unbroken row"


def test_a_row_that_begins_too_late_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look is begun in time and ends too late; the third is the one at the end of the time."""
    clock = iter([0.0, 0.01, 0.02, 0.09, 0.15, 0.16, 0.17])
    own_time(monkeypatch, waiting, monotonic=lambda: next(clock))
    looks = iter([None, None, None, 1, 1])
    assert Changes().wait(lambda: next(looks), timeout_s=0.1, in_a_row=2) is None


def test_a_row_that_begins_in_time_may_end_later() -> None:
    begun_s = time.monotonic()
    assert Changes().wait(lambda: 1, timeout_s=0.05, in_a_row=3, apart_s=0.05) == 1
    assert time.monotonic() - begun_s >= 0.1, "two pauses between three looks"


def test_a_bad_look_after_a_change_breaks_the_row() -> None:
    changes, state = Changes(), {"well": True}
    looked: list[float] = []
    seen = threading.Event()

    def look() -> float | None:
        looked.append(time.monotonic())
        if not state["well"]:
            seen.set()
        return looked[-1] if state["well"] else None

    def flicker() -> None:
        state["well"] = False
        changes.wake()
        seen.wait(30)
        state["well"] = True
        changes.wake()

    threading.Timer(0.05, flicker).start()
    first = changes.wait(look, timeout_s=30, in_a_row=2, apart_s=1.0)
    assert first is not None
    assert first > looked[0], "the look before the flicker is not of the row"


def test_who_gives_up_gets_nothing() -> None:
    assert Changes().wait(lambda: None, timeout_s=60, give_up=lambda: True) is None

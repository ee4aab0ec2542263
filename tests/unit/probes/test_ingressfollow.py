"""The ingress's log while the load runs: each line once, pods that come and go, and nothing raised into the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rollproof.clients.kube import ApiError, SilenceError, UnreachableError
from rollproof.core.target import Ingress
from rollproof.errors import RollproofError
from rollproof.probes import ingressfollow
from rollproof.probes.ingressfollow import IngressFollow, containers_of

WAIT_S = 60.0
Step = str | RollproofError | Callable[[], object]


class Stream:
    """Says each line; an error is raised, a callable is called; after the last one it ends, or stays until closed."""

    def __init__(self, steps: list[Step], said: Callable[[], None], *, stays: Callable[[], bool]) -> None:
        self.steps, self.said, self.stays = steps, said, stays
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for step in self.steps:
                if isinstance(step, RollproofError):
                    raise step
                if callable(step):
                    step()
                else:
                    yield step.encode()
        finally:
            self.said()
        if self.stays():
            self.closed.wait(WAIT_S)

    def close(self) -> None:
        self.closed.set()


class Kube:
    """Ingress pods, and what each of their streams says, one after the other; the last one stays open."""

    def __init__(self, **streams: list[list[Step]]) -> None:
        self.streams = streams
        self.there = list(streams)
        self.asked: list[tuple[str, str, int]] = []
        self.phases: dict[str, str] = {}
        self.lists, self.listed_again = 0, threading.Event()
        self.left = sum(map(len, streams.values()))
        self.lock, self.all_said = threading.Lock(), threading.Event()

    def said(self) -> None:
        with self.lock:
            self.left -= 1
            if not self.left:
                self.all_said.set()

    def list(self, kind: str, namespace: str, *, labels: str) -> dict[str, Any]:
        assert (kind, namespace, labels) == ("Pod", "ingress", Ingress().selector)
        if self.lists:
            self.listed_again.set()
        self.lists += 1
        return {"items": [{**pod(name), "status": {"phase": self.phases.get(name, "Running")}} for name in self.there]}

    def follow_log(self, namespace: str, name: str, container: str, *, since_s: int, silence_s: float) -> Stream:
        assert (namespace, container) == ("ingress", "nginx")
        assert silence_s > 0
        self.asked.append((name, container, since_s))
        left = self.streams[name]
        if not left and name not in self.there:
            raise ApiError(f"pods {name} not found", status=404)
        steps, said = (left.pop(0), self.said) if left else ([], lambda: None)
        return Stream(steps, said, stays=lambda: not left and name in self.there)


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {"containers": [{"name": "nginx"}]}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingressfollow, "_LOOK_S", 0.01)
    monkeypatch.setattr(ingressfollow, "_AGAIN_S", 0.01)


def followed(kube: Kube) -> IngressFollow:
    with IngressFollow(kube, Ingress(namespace="ingress"), "rp1") as follow:  # type: ignore[arg-type]
        assert kube.all_said.wait(WAIT_S)
    return follow


def test_our_lines_are_kept_and_no_others() -> None:
    follow = followed(Kube(a=[["rp1-1 200", "other 200", "rp1-2 200"]], b=[["rp1-3 200"]]))
    assert sorted(follow.lines) == ["rp1-1 200", "rp1-2 200", "rp1-3 200"]
    assert follow.notes == ()


def test_a_stream_that_ends_is_connected_again_and_what_comes_twice_is_kept_once() -> None:
    kube = Kube(a=[["rp1-1 200", "rp1-2 200"], ["rp1-2 200", "rp1-3 200"]])
    follow = followed(kube)
    assert follow.lines == ("rp1-1 200", "rp1-2 200", "rp1-3 200")
    assert [since_s >= 5 for _, _, since_s in kube.asked] == [True, True]  # from the last line on, and some more
    (note,) = follow.notes
    assert note.startswith("a/nginx was not followed from ")
    assert note.endswith(": the stream ended")


def test_a_stream_that_breaks_is_connected_again_and_it_is_told_why() -> None:
    follow = followed(Kube(a=[["rp1-1 200", UnreachableError("the log broke: reset by peer")], ["rp1-2 200"]]))
    assert follow.lines == ("rp1-1 200", "rp1-2 200")
    assert "the log broke: reset by peer" in follow.notes[0]


def test_silence_is_no_loss() -> None:
    kube = Kube(a=[["rp1-1 200", SilenceError("silent")], ["rp1-2 200"]])
    follow = followed(kube)
    assert follow.lines == ("rp1-1 200", "rp1-2 200")
    assert follow.notes == ()


def test_a_pod_that_is_replaced_in_the_middle() -> None:
    """Its last lines are kept although its log goes with it, and the next pod is followed from its beginning."""
    kube = Kube(a=[["rp1-1 200"]], b=[["rp1-2 200"]])
    kube.there = ["a"]

    def replace() -> None:
        kube.there = ["b"]

    kube.streams["a"][0].append(replace)
    follow = followed(kube)
    assert follow.lines == ("rp1-1 200", "rp1-2 200")
    assert follow.notes == ()


def test_a_pod_that_has_ended_is_not_asked_again_and_again() -> None:
    """An evicted one, or that of a Job with the same labels."""
    kube = Kube(a=[["rp1-1 200", lambda: kube.listed_again.wait(WAIT_S)]])
    kube.there, kube.phases = ["a", "done"], {"done": "Succeeded"}
    follow = followed(kube)
    assert follow.lines == ("rp1-1 200",)
    assert {name for name, *_ in kube.asked} == {"a"}


def test_a_refusal_is_told_once_and_not_asked_again() -> None:
    kube = Kube(a=[[ApiError("pods/log is forbidden", status=403)]], b=[["rp1-1 200"]])
    follow = followed(kube)
    assert follow.lines == ("rp1-1 200",)
    assert follow.notes == ("a/nginx cannot be followed: pods/log is forbidden",)
    assert [name for name, *_ in kube.asked].count("a") == 1


def test_nothing_is_raised_into_the_run_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ValueError("a bug of ours")

    kube = Kube(a=[[broken]], b=[["rp1-1 200"]])
    follow = followed(kube)
    assert follow.lines == ("rp1-1 200",)
    assert follow.notes == ("ingress-log ended: ValueError: a bug of ours",)
    looked = threading.Event()

    def refuse(*_: Any, **__: Any) -> None:
        looked.set()
        raise ApiError("pods is forbidden", status=403)

    monkeypatch.setattr(kube, "list", refuse)
    with IngressFollow(kube, Ingress(namespace="ingress"), "rp1") as follow:  # type: ignore[arg-type]
        assert looked.wait(WAIT_S)
    assert follow.lines == ()


def test_it_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingressfollow, "_KEPT_MAX", 20)
    monkeypatch.setattr(ingressfollow, "_LOGS_MAX", 1)
    follow = followed(Kube(a=[["rp1-1 200", "rp1-2 200", "rp1-3 200", "rp1-4 200"]]))
    assert follow.lines == ("rp1-1 200", "rp1-2 200")
    (note,) = follow.notes
    assert "no more was kept" in note
    kube = Kube(a=[[lambda: kube.listed_again.wait(WAIT_S)]])
    kube.there = ["a", "b"]
    assert followed(kube).notes == ("only 1 logs are followed: b/nginx is not",)


def test_without_an_ingress_nobody_is_asked() -> None:
    with IngressFollow(None, Ingress(), "rp1") as follow:  # type: ignore[arg-type]
        pass
    assert follow.lines == ()


def test_which_containers() -> None:
    marked = {"metadata": {"annotations": {"kubectl.kubernetes.io/default-container": "c"}}}
    assert containers_of(marked, "") == ["c"]
    assert containers_of(pod("a"), "") == ["nginx"]
    assert containers_of(pod("a"), "b") == ["b"]

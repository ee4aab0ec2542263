"""Retries are counted from the ingress's own lines, and only those of our requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from builders import Requests
from owntime import own_time
from recorder import ListRecorder

from rollproof.clients.kube import ApiError
from rollproof.core.event import Outcome
from rollproof.core.requests import RequestLog
from rollproof.core.target import Ingress
from rollproof.probes import ingresslog
from rollproof.probes.ingresslog import answered_ids, count_retries, read_log, record_retries


def line(identity: str, upstream: str = "10.0.0.1:80", status: object = 200) -> str:
    return json.dumps({"id": identity, "upstream": upstream, "status": status})


def test_a_retry_that_ended_well_is_masked_and_one_that_did_not_is_only_a_retry() -> None:
    lines = [
        line("rp1-1"),
        line("rp1-2", "10.0.0.9:80, 10.0.0.1:80"),
        line("rp1-3", "10.0.0.9:80, 10.0.0.1:80", "502"),
    ]
    found = count_retries(lines, "rp1-")
    assert (found.lines, found.matched, found.retried, found.masked) == (3, 3, 2, 1)
    assert found.retried_ids == ("rp1-2", "rp1-3")
    assert found.upstreams == {"10.0.0.9:80": 2}


def test_other_peoples_lines_do_not_count() -> None:
    lines = [line("other", "a, b"), "GET / rp1- 200", '{"id": 5}', '{"uri": "/rp1-", "id": "x", "upstream": "a, b"}']
    found = count_retries(lines, "rp1-")
    assert (found.lines, found.matched, found.retried) == (4, 0, 0)


def test_the_list_of_ids_is_bounded() -> None:
    found = count_retries([line(f"rp1-{i}", "a, b") for i in range(80)], "rp1-")
    assert found.retried == 80
    assert len(found.retried_ids) == 50


# -- is the log whole? ------------------------------------------------------------------------------------------------


class Kube:
    """One ingress pod; each look at its log gives the next of `texts`, the last one again and again."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def list(self, *_: str, **__: str) -> Mapping[str, Any]:
        return {"items": [{"metadata": {"name": "ingress-1"}, "spec": {"containers": [{"name": "nginx"}]}}]}

    def pod_log(self, *_: str, **__: int) -> str:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


LOAD = Requests(seconds=5).fail(at=92.0, until=92.5, outcome="http.502").build()
IDS = sorted(answered_ids(LOAD))
Look = Callable[..., tuple[str, Outcome, Mapping[str, Any]]]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    own_time(monkeypatch, ingresslog, sleep=lambda _: None)

    def looked(*texts: str, log: RequestLog = LOAD) -> tuple[str, Outcome, Mapping[str, Any]]:
        recorder = ListRecorder()
        record_retries(Kube(*texts), Ingress(namespace="ingress"), recorder, log=log, since_s=10)  # type: ignore[arg-type]
        (event,) = recorder.events
        return event.what, event.outcome, event.data

    return looked


def text(ids: list[str], *more: str) -> str:
    return "\n".join([*(line(one) for one in ids), *more])


def test_what_must_be_in_the_log_is_what_the_app_answered_well() -> None:
    control = LOAD.rows["lane"] == LOAD.lanes.index("control")
    good = (LOAD.rows["outcome"] == 0) & ~control
    assert {LOAD.request_id(k) for k in LOAD.rows["k"][good]} == set(IDS)
    assert 0 < len(IDS) < int((~control).sum())


def test_a_whole_log_is_evidence(look: Look) -> None:
    what, outcome, data = look(text(IDS))
    assert (what, outcome) == ("log", Outcome.OK)
    assert (data["answered"], data["found"], data["matched"], data["masked"]) == (len(IDS), len(IDS), len(IDS), 0)


def test_of_other_peoples_lines_only_the_last_are_kept_and_all_are_counted(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy ingress has millions of them."""
    kept: list[int] = []
    real = ingresslog.count_retries
    monkeypatch.setattr(ingresslog, "count_retries", lambda *args: kept.append(len(args[0])) or real(*args))
    others = [line(f"other-{number}") for number in range(5000)]
    what, _, data = look("\n".join([*others, *map(line, IDS), *others]))
    assert (what, data["lines"], data["found"]) == ("log", 10_000 + len(IDS), len(IDS))
    assert kept == [len(IDS) + 50]


@pytest.mark.parametrize(("lost", "what"), [(0.009, "log"), (0.011, "log-unreadable"), (0.9, "log-unreadable")])
def test_a_log_that_lacks_more_than_one_answer_in_a_hundred_proves_nothing(look: Look, lost: float, what: str) -> None:
    left = IDS[int(len(IDS) * lost) + (what != "log") :]
    found, _, data = look(text(left))
    assert found == what
    if what != "log":
        assert (
            f"only {len(left):,} of {len(IDS):,} answered requests are in it ({len(left) / len(IDS):.1%})"
            in (data["reason"])
        )


def test_other_lines_of_ours_do_not_stand_in_for_those_that_are_missing(look: Look) -> None:
    others = [f"{LOAD.engine.request_id_prefix}-{k + 10**6}" for k in range(len(IDS))]
    assert look(text(IDS[:10] + others))[0] == "log-unreadable"


def test_what_was_masked_in_a_log_that_is_not_whole_is_not_kept_back(look: Look) -> None:
    what, outcome, data = look(text(IDS[:10], line(IDS[11], "10.0.0.9:80, 10.0.0.1:80")))
    assert (what, outcome) == ("log-unreadable", Outcome.UNKNOWN)
    assert "of those that are, 1 were masked" in data["reason"]


def test_a_log_that_comes_a_little_late_is_whole(look: Look) -> None:
    assert look(text(IDS[:10]), text(IDS))[0] == "log"


def test_a_log_without_our_requests_says_what_it_needs(look: Look) -> None:
    what, _, data = look("GET / 200\n")
    assert what == "log-unreadable"
    assert "JSON lines with id, upstream and status are needed" in data["reason"]


# -- does it say how often each request was tried? --------------------------------------------------------------------

RETRIED = "10.0.0.9:80, 10.0.0.1:80"


def test_a5_log_without_an_address_is_unreadable(look: Look) -> None:
    """The ingress did retry, and its lines have no field that could say so."""
    lines = "\n".join(json.dumps({"id": one, "status": 200, "bytes": 61}) for one in IDS)
    what, outcome, data = look(lines)
    assert (what, outcome) == ("log-unreadable", Outcome.UNKNOWN)
    assert f"the lines of {len(IDS):,} of {len(IDS):,} answered requests do not say how often" in data["reason"]
    assert "upstream_addr ($upstream_addr) with addresses" in data["reason"]
    assert (data["matched"], data["readable"], data["masked"]) == (len(IDS), 0, 0)


def test_a5_one_answered_request_whose_line_is_silent_makes_the_log_unreadable(look: Look) -> None:
    """One in a hundred may be missing; but a line that is there and has no address may be that of any retry."""
    what, _, data = look(text(IDS[1:], line(IDS[0], "shop-web-80")))
    assert what == "log-unreadable"
    assert data["readable"] == len(IDS) - 1


def test_a5_what_is_known_to_be_masked_is_told_of_an_unreadable_log(look: Look) -> None:
    what, _, data = look(text(IDS[2:], line(IDS[0], "shop-web-80"), line(IDS[1], RETRIED)))
    assert (what, data["masked"]) == ("log-unreadable", 1)
    assert "of the others, 1 were masked" in data["reason"]


def test_a5_silent_lines_of_requests_that_got_no_good_answer_do_not_matter(look: Look) -> None:
    """nginx asked nobody for them: they are failures already."""
    failed = [LOAD.request_id(int(k)) for k in LOAD.rows["k"][LOAD.rows["outcome"] != 0]]
    assert failed
    what, _, data = look(text(IDS, *(line(one, "-", 503) for one in failed)))
    assert (what, data["readable"], data["matched"]) == ("log", len(IDS), len(IDS) + len(failed))


def test_a6_a_retry_in_a_line_without_a_status_is_masked_if_the_client_got_its_answer() -> None:
    lines = [json.dumps({"id": f"rp1-{n}", "upstream_addr": RETRIED}) for n in (1, 2)]
    found = count_retries(lines, "rp1-", frozenset({"rp1-1"}))
    assert (found.retried, found.masked) == (2, 1)


@pytest.mark.parametrize("order", [1, -1])
def test_a_bad_answer_to_a_request_that_the_client_saw_answered_was_masked_in_front(look: Look, order: int) -> None:
    """A load balancer before the ingress asked it again, with the same id: two lines, each of a single try."""
    again = [line(IDS[0], "10.0.0.9:80", 502), line(IDS[0], "10.0.0.1:80")][::order]
    what, _, data = look(text(IDS[1:], *again))
    assert (what, data["found"], data["retried"], data["masked"]) == ("log", len(IDS), 1, 1)
    assert (data["retried_ids"], data["in_front"]) == ((IDS[0],), 1)


def test_what_the_ingress_itself_tried_again_was_not_asked_again_in_front(look: Look) -> None:
    _, _, data = look(text(IDS[1:], line(IDS[0], "10.0.0.9:80, 10.0.0.1:80")))
    assert (data["masked"], data["in_front"]) == (1, 0)


def test_a_request_that_came_twice_and_was_never_answered_well_was_not_masked() -> None:
    lines = [line("rp1-1", status=502), line("rp1-1", status=503)]
    assert count_retries(lines, "rp1-").retried == 0, "the client's answer is a failure already"
    assert count_retries([line("rp1-1"), line("rp1-1")], "rp1-", frozenset({"rp1-1"})).retried == 0


def test_a_line_that_is_no_access_line_masks_nothing() -> None:
    lines = [line("rp1-1"), '{"msg": "reload failed", "trace": "rp1-1"}', "E1130 503 upstream of rp1-1 is slow"]
    assert count_retries(lines, "rp1-", frozenset({"rp1-1"})).masked == 0


def test_a6_two_proxies_in_a_row_must_both_say_how_often_they_tried() -> None:
    front = json.dumps({"id": "rp1-1", "response_code": 200, "response_flags": "-", "upstream_host": "10.0.0.1:80"})
    assert count_retries([line("rp1-1"), front], "rp1-").mute == {"rp1-1"}
    assert count_retries([line("rp1-1"), '{"msg": "handled", "trace": "rp1-1"}'], "rp1-").mute == frozenset()
    assert count_retries([line("rp1-1", RETRIED), front], "rp1-").mute == frozenset()


class Pods:
    """Ingress pods by their containers; the log of an evicted one is gone."""

    def __init__(self, *pods: Mapping[str, Any]) -> None:
        self.pods = pods
        self.asked: list[tuple[str, str]] = []

    def list(self, *_: str, **__: str) -> Mapping[str, Any]:
        return {"items": list(self.pods)}

    def pod_log(self, _: str, name: str, container: str, **__: int) -> str:
        self.asked.append((name, container))
        if name == "evicted":
            raise ApiError("container is not there", status=400, reason="BadRequest")
        return f"{container}\n"


def pod(name: str, *containers: str, phase: str = "Running", **annotations: str) -> Mapping[str, Any]:
    metadata = {"name": name, "annotations": {key.replace("_", "/"): value for key, value in annotations.items()}}
    return {
        "metadata": metadata, "spec": {"containers": [{"name": one} for one in containers]}, "status": {"phase": phase},
    }  # fmt: skip


def test_a10_the_ingresss_container_is_not_the_first_but_the_one_that_is_named_or_each() -> None:
    marked = {"kubectl.kubernetes.io_default-container": "controller"}
    kube = Pods(pod("a", "istio-proxy", "controller"), pod("b", "istio-proxy", "controller", **marked))
    lines = read_log(kube, Ingress(namespace="ingress"), since_s=1)  # type: ignore[arg-type]
    assert lines == ["istio-proxy", "controller", "controller"]
    assert read_log(kube, Ingress(namespace="ingress", container="c"), since_s=1) == ["c", "c"]  # type: ignore[arg-type]


def test_a7_an_evicted_pod_of_the_ingress_has_no_log_and_does_not_hide_the_others() -> None:
    kube = Pods(pod("evicted", "controller", phase="Failed"), pod("a", "controller"))
    assert read_log(kube, Ingress(namespace="ingress"), since_s=1) == ["controller"]  # type: ignore[arg-type]
    with pytest.raises(ApiError):
        read_log(Pods(pod("evicted", "controller")), Ingress(namespace="ingress"), since_s=1)  # type: ignore[arg-type]


# -- what was followed while the load ran -----------------------------------------------------------------------------


class Followed:
    def __init__(self, *lines: str, notes: tuple[str, ...] = ()) -> None:
        self.lines, self.notes = lines, notes


def after(kube: Any, follow: Any) -> Any:
    recorder = ListRecorder()
    record_retries(kube, Ingress(namespace="ingress"), recorder, log=LOAD, since_s=10, follow=follow)
    (event,) = recorder.events
    return event


def test_a_log_that_was_rotated_is_whole_with_what_was_followed() -> None:
    """At its end only the newest file can be read, as a kubelet gives it."""
    half = len(IDS) // 2
    early = [line(IDS[0], RETRIED), *(line(one) for one in IDS[1 : half + 20])]
    event = after(Kube(text(IDS[half:])), Followed(*early))
    assert (event.what, event.data["found"], event.data["masked"]) == ("log", len(IDS), 1)
    assert (event.data["matched"], event.data["followed"]) == (len(IDS), half + 20), "a line that both have counts once"


def test_a_log_that_cannot_be_read_any_more_is_what_was_followed() -> None:
    gone = Pods(pod("evicted", "controller"))
    assert after(gone, Followed(*(line(one) for one in IDS))).what == "log"
    assert after(gone, Followed()).data == {"reason": "container is not there"}


def test_what_is_missing_is_said_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    own_time(monkeypatch, ingresslog, sleep=lambda _: None)
    sent = dict(zip(map(LOAD.request_id, LOAD.rows["k"].tolist()), LOAD.rows["send_ns"].tolist(), strict=True))
    begun_ns = min(sent.values())
    kept = [one for one in IDS if sent[one] - begun_ns >= 2e9]
    event = after(Kube(text(kept)), Followed(notes=("ingress-1/nginx was not followed from 0.0 s to 2.0 s: gone",)))
    lacking = [(sent[one] - begun_ns) / 1e9 for one in IDS if one not in kept]
    assert event.what == "log-unreadable"
    said = f"the others were sent from {min(lacking):.1f} s to {max(lacking):.1f} s after the load began"
    assert f"{said}; ingress-1/nginx was not followed from 0.0 s to 2.0 s: gone;" in event.data["reason"]

"""The ingress's access log, read for one thing: requests that the ingress tried again so that no client saw a failure.

A retried request has more than one upstream in its line. If its final status is good, the failure was MASKED: the
client is clean, the rollout is not. Only lines of our own requests count, told by the request id's prefix. Parsing is
pure; it must never guess: a log in another format, or one that lacks requests that were answered (it was rotated), is
"unreadable", not "nothing was retried".
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.event import Outcome, Recorder
from rollproof.core.outcomes import Kind, kinds, lane_mask
from rollproof.core.requests import RequestLog
from rollproof.core.target import Ingress
from rollproof.errors import RollproofError

__all__ = ["Retries", "answered_ids", "count_retries", "read_log", "record_retries"]

_IDS_MAX = 50
_SHARE_MIN = 0.99  # of the answered requests must be in the log
_LATE_S = 1.0  # a log that is gathered from elsewhere may come a little later
_MARGIN_S = 5  # the log is asked by whole seconds and by the cluster's clock
_ID_KEYS = ("id", "request_id", "req_id", "reqId", "x_request_id")
_UPSTREAM_KEYS = ("upstream", "upstream_addr", "upstreamAddr")


@dataclass(frozen=True, slots=True)
class Retries:
    """What the log says about our requests: `matched` of `lines` were ours, and these are their ids."""

    lines: int = 0
    matched: int = 0
    ids: frozenset[str] = frozenset()
    retried: int = 0
    masked: int = 0
    retried_ids: tuple[str, ...] = ()
    upstreams: Counter[str] = field(default_factory=Counter)  # first upstreams of retried requests: those that failed


def count_retries(lines: Iterable[str], prefix: str) -> Retries:
    """Count in JSON lines; lines of other shapes and of other people's requests are skipped."""
    total = retried = masked = 0
    ours: list[str] = []
    ids: list[str] = []
    failed: Counter[str] = Counter()
    for line in lines:
        total += 1
        if prefix not in line:
            continue
        entry = _entry(line)
        request = _first(entry, _ID_KEYS)
        if not request.startswith(prefix):
            continue
        ours.append(request)
        upstreams = [part.strip() for part in _first(entry, _UPSTREAM_KEYS).replace(" : ", ",").split(",")]
        if len(upstreams) < 2:
            continue
        retried += 1
        masked += _good(entry.get("status"))
        ids.append(request)
        failed.update(upstreams[:-1])
    return Retries(total, len(ours), frozenset(ours), retried, masked, tuple(ids[:_IDS_MAX]), failed)


def read_log(kube: Kube, ingress: Ingress, *, since_s: float) -> list[str]:
    """The last `since_s` seconds of every ingress pod's log."""
    lines: list[str] = []
    pods = kube.list("Pod", ingress.namespace, labels=ingress.selector)["items"]
    for pod in pods:
        container = ingress.container or str(pod["spec"]["containers"][0]["name"])
        text = kube.pod_log(
            ingress.namespace, str(pod["metadata"]["name"]), container, since_s=int(since_s) + _MARGIN_S
        )
        lines.extend(text.splitlines())
    return lines


def answered_ids(log: RequestLog) -> frozenset[str]:
    """The ids of the requests that must be in the ingress's log: those of the app with a good answer.

    A bad answer may be that of something in front of the ingress, and the control lane may take another way.
    """
    good = (kinds(log) == Kind.GOOD) & ~lane_mask(log, log.control)
    return frozenset(log.request_id(int(k)) for k in log.rows["k"][good])


def record_retries(kube: Kube, ingress: Ingress, recorder: Recorder, *, log: RequestLog, since_s: float) -> None:
    """Put the evidence for MASKED on the timeline, or the reason why there is none."""
    if not ingress.namespace:
        return
    prefix, answered = log.engine.request_id_prefix, answered_ids(log)
    try:
        retries = count_retries(read_log(kube, ingress, since_s=since_s), prefix)
        if _lacks(retries, answered):
            time.sleep(_LATE_S)
            retries = count_retries(read_log(kube, ingress, since_s=since_s + _LATE_S), prefix)
    except RollproofError as error:
        _unreadable(recorder, str(error))
        return
    if not retries.matched:
        reason = f"none of {retries.lines} lines holds an id that begins with {prefix!r}: JSON lines with id, upstream "
        _unreadable(recorder, f"{reason}and status are needed")
        return
    found = len(retries.ids & answered)
    if _lacks(retries, answered):
        what = f"only {found:,} of {len(answered):,} answered requests are in it ({found / len(answered):.1%})"
        there = f"; of those that are, {retries.masked} were masked" if retries.masked else ""
        hint = f"{_SHARE_MIN:.0%} are needed: was it rotated, or does ingress.selector miss a pod?"
        _unreadable(recorder, f"{what}{there}; {hint}")
        return
    recorder.record(
        "ingress", "Ingress", "log",
        data={
            "lines": retries.lines, "matched": retries.matched, "answered": len(answered), "found": found,
            "retried": retries.retried, "masked": retries.masked, "retried_ids": retries.retried_ids,
            "upstreams": dict(retries.upstreams),
        },
    )  # fmt: skip


def _lacks(retries: Retries, answered: frozenset[str]) -> bool:
    return len(retries.ids & answered) < _SHARE_MIN * len(answered)


def _unreadable(recorder: Recorder, reason: str) -> None:
    recorder.record("ingress", "Ingress", "log-unreadable", outcome=Outcome.UNKNOWN, data={"reason": reason})


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line[max(0, line.find("{")) :])
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _first(entry: dict[str, Any], keys: tuple[str, ...]) -> str:
    return next((str(entry[key]) for key in keys if entry.get(key)), "")


def _good(status: object) -> bool:
    try:
        return int(str(status)) < 500
    except ValueError:
        return False

"""The ingress's access log, read for one thing: requests that the ingress tried again so that no client saw a failure.

A retried request has more than one upstream in its line. If its final status is good, the failure was MASKED: the
client is clean, the rollout is not. Only lines of our own requests count, told by the request id's prefix. Parsing is
pure; it must never guess: a log in another format is "unreadable", not "nothing was retried".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.event import Outcome, Recorder
from rollproof.core.target import Ingress
from rollproof.errors import RollproofError

__all__ = ["Retries", "count_retries", "read_log", "record_retries"]

_IDS_MAX = 50
_MARGIN_S = 5  # the log is asked by whole seconds and by the cluster's clock
_ID_KEYS = ("id", "request_id", "req_id", "reqId", "x_request_id")
_UPSTREAM_KEYS = ("upstream", "upstream_addr", "upstreamAddr")


@dataclass(frozen=True, slots=True)
class Retries:
    """What the log says about our requests: `matched` of `lines` were ours."""

    lines: int = 0
    matched: int = 0
    retried: int = 0
    masked: int = 0
    retried_ids: tuple[str, ...] = ()
    upstreams: Counter[str] = field(default_factory=Counter)  # first upstreams of retried requests: those that failed


def count_retries(lines: Iterable[str], prefix: str) -> Retries:
    """Count in JSON lines; lines of other shapes and of other people's requests are skipped."""
    total = matched = retried = masked = 0
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
        matched += 1
        upstreams = [part.strip() for part in _first(entry, _UPSTREAM_KEYS).replace(" : ", ",").split(",")]
        if len(upstreams) < 2:
            continue
        retried += 1
        masked += _good(entry.get("status"))
        ids.append(request)
        failed.update(upstreams[:-1])
    return Retries(total, matched, retried, masked, tuple(ids[:_IDS_MAX]), failed)


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


def record_retries(kube: Kube, ingress: Ingress, recorder: Recorder, *, prefix: str, since_s: float) -> None:
    """Put the evidence for MASKED on the timeline, or the reason why there is none."""
    if not ingress.namespace:
        return
    try:
        retries = count_retries(read_log(kube, ingress, since_s=since_s), prefix)
    except RollproofError as error:
        _unreadable(recorder, str(error))
        return
    if not retries.matched:
        reason = f"none of {retries.lines} lines holds an id that begins with {prefix!r}: JSON lines with id, upstream "
        _unreadable(recorder, f"{reason}and status are needed")
        return
    recorder.record(
        "ingress", "Ingress", "log",
        data={
            "lines": retries.lines, "matched": retries.matched, "retried": retries.retried, "masked": retries.masked,
            "retried_ids": retries.retried_ids, "upstreams": dict(retries.upstreams),
        },
    )  # fmt: skip


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

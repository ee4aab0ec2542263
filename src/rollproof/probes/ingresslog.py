"""Reads the ingress's access log, with what was followed of it (`ingressfollow`), for one thing: requests that it
retried, so that no client saw a failure.

If the final status of such a request is good, the failure was MASKED: the client saw none, and the rollout caused one.
Only our own requests count, by the request id's prefix. Parsing is pure (core.accesslog) and must never
guess: a log that does not say of each answered request how often it was tried (another format, no address, rotated) is
"unreadable", not "nothing was retried".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.accesslog import FORMATS, AccessLine, advice, read_line
from rollproof.core.event import Outcome, Recorder
from rollproof.core.outcomes import Kind, kinds, lane_mask
from rollproof.core.requests import RequestLog
from rollproof.core.target import Ingress
from rollproof.core.watched import ENDED_PHASES
from rollproof.errors import RollproofError
from rollproof.probes.ingressfollow import IngressFollow, containers_of

__all__ = ["Retries", "answered_ids", "count_retries", "read_log", "record_retries"]

_IDS_MAX = 50
_LAST = 50  # lines of a log that are kept whosever they are
_SHARE_MIN = 0.99  # of the answered requests must be in the log
_LATE_S = 1.0  # a log that is collected elsewhere may be complete a little later
_MARGIN_S = 5  # the log is requested in whole seconds, by the cluster's clock


@dataclass(frozen=True, slots=True)
class Retries:
    """What the log says about our requests: `matched` of `lines` were ours; `ids` of those that were retried.

    `in_front`: of the masked ones those that no line says were tried again there: something in front of it asked again.
    `mute`: ids of requests of which no line says how often they were tried; `formats`: what those lines look like.
    """

    lines: int = 0
    matched: int = 0
    ids: frozenset[str] = frozenset()
    retried: int = 0
    masked: int = 0
    in_front: int = 0
    retried_ids: tuple[str, ...] = ()
    upstreams: Counter[str] = field(default_factory=Counter)  # first upstreams of retried requests: those that failed
    mute: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()


def count_retries(lines: Iterable[str], prefix: str, answered: frozenset[str] = frozenset()) -> Retries:
    """Count retries in the lines; requests of others are skipped.

    `answered`: ids with a good answer as the client saw it. Of such a request a line with a bad one tells of another
    try too: something in front of that proxy (a load balancer) asked again.
    """
    total = 0
    said: dict[str, list[AccessLine]] = {}
    for line in lines:
        total += 1
        read = read_line(line, prefix)
        if read is not None:
            said.setdefault(read.request_id, []).append(read)
    retried = {
        request: again
        for request, entries in said.items()
        if (again := [one for one in entries if (one.tries or 0) > 1 or (request in answered and _was_bad(one))])
    }
    mute = [one for request, entries in said.items() if request not in retried for one in _mute(entries)]
    good = [request for request, entries in retried.items() if request in answered or any(one.good for one in entries)]
    return Retries(
        lines=total,
        matched=sum(len(entries) for entries in said.values()),
        ids=frozenset(said),
        retried=len(retried),
        masked=len(good),
        in_front=sum(all((one.tries or 0) <= 1 for one in retried[request]) for request in good),
        retried_ids=tuple(list(retried)[:_IDS_MAX]),
        upstreams=Counter(server for entries in retried.values() for one in entries for server in one.failed),
        mute=frozenset(one.request_id for one in mute),
        formats=frozenset(one.format for one in mute),
    )


def _was_bad(line: AccessLine) -> bool:
    """Whether that proxy answered the request, and badly."""
    return line.access and line.good is False


def _mute(entries: list[AccessLine]) -> list[AccessLine]:
    """The lines of one request that should say how often it was tried, and do not; each proxy on the way must."""
    access = [one for one in entries if one.access] or entries
    return [one for one in access if one.tries is None]


def read_log(kube: Kube, ingress: Ingress, *, since_s: float) -> list[str]:
    """The last `since_s` seconds of every ingress pod's log; of all its containers where none is named."""
    return [line for lines in _logs(kube, ingress, since_s) for line in lines]


def _logs(kube: Kube, ingress: Ingress, since_s: float) -> Iterator[list[str]]:
    """The same, one log after the other: each may have 256 MiB, and few of its lines are ours."""
    pods = kube.list("Pod", ingress.namespace, labels=ingress.selector)["items"]
    for pod in pods:
        for container in containers_of(pod, ingress.container):
            name = str(pod["metadata"]["name"])
            try:
                text = kube.pod_log(ingress.namespace, name, container, since_s=int(since_s) + _MARGIN_S)
            except ApiError:
                if (pod.get("status") or {}).get("phase") not in ENDED_PHASES:
                    raise
                continue  # its log may be gone with its containers; missing lines count against the share of the whole
            yield text.splitlines()


def answered_ids(log: RequestLog) -> frozenset[str]:
    """The ids of the requests that must be in the ingress's log: those of the app with a good answer.

    A bad answer may come from something in front of the ingress, and the control lane may take another way.
    """
    good = (kinds(log) == Kind.GOOD) & ~lane_mask(log, log.control)
    return frozenset(log.request_id(int(k)) for k in log.rows["k"][good])


def record_retries(
    kube: Kube, ingress: Ingress, recorder: Recorder, *, log: RequestLog, since_s: float,
    follow: IngressFollow | None = None,
) -> None:  # fmt: skip
    """Record the evidence for MASKED, or the reason why there is none."""
    if not ingress.namespace:
        return
    prefix, answered = log.engine.request_id_prefix, answered_ids(log)
    lines: list[str] = []
    followed, notes = (follow.lines, follow.notes) if follow is not None else ((), ())

    def look(since_s: float) -> Retries:
        there: list[str] = []
        total = 0
        try:
            for log_lines in _logs(kube, ingress, since_s):
                total += len(log_lines)
                there += [line for line in log_lines[:-_LAST] if prefix in line]
                there += log_lines[-_LAST:]  # whose log it is, where no line is ours
        except RollproofError:
            if not followed:
                raise
            there, total = [], 0  # what was followed may be all there is to know; if not, the count says so
        known = frozenset(there)
        more = [line for line in followed if line not in known]
        lines[:] = [*there, *more]
        return replace(count_retries(lines, prefix, answered), lines=total + len(more))

    try:
        retries = look(since_s)
        if _lacks(retries, answered):
            time.sleep(_LATE_S)
            retries = look(since_s + _LATE_S)
    except RollproofError as error:
        _unreadable(recorder, str(error))
        return
    if not retries.matched:
        hint = advice(lines) or "JSON lines with id, upstream and status are needed"
        _unreadable(recorder, f"none of {retries.lines} lines holds an id that begins with {prefix!r}: {hint}", retries)
        return
    mute = retries.mute & answered
    if mute:
        _unreadable(recorder, _why_mute(retries, len(mute), len(answered)), retries)
        return
    found = len(retries.ids & answered)
    if _lacks(retries, answered):
        what = f"only {found:,} of {len(answered):,} answered requests are in it ({found / len(answered):.1%})"
        there = f"; of those that are, {retries.masked} were masked" if retries.masked else ""
        hint = f"{_SHARE_MIN:.0%} are needed: was it rotated, or does ingress.selector miss a pod?"
        reason = "; ".join([f"{what}{there}", _missing_when(log, answered - retries.ids), *notes, hint])
        _unreadable(recorder, reason, retries)
        return
    recorder.record(
        "ingress", "Ingress", "log",
        data={
            "lines": retries.lines, "matched": retries.matched, "answered": len(answered), "found": found,
            "readable": len(retries.ids - retries.mute), "retried": retries.retried, "masked": retries.masked,
            "in_front": retries.in_front, "retried_ids": retries.retried_ids, "upstreams": dict(retries.upstreams),
            "followed": len(followed),
        },
    )  # fmt: skip


def _lacks(retries: Retries, answered: frozenset[str]) -> bool:
    return len(retries.ids & answered) < _SHARE_MIN * len(answered)


def _missing_when(log: RequestLog, missing: frozenset[str]) -> str:
    """From when to when the requests were sent that are not in the log, from the beginning of the load."""
    rows = log.rows
    times = [int(at) for k, at in zip(rows["k"], rows["send_ns"], strict=True) if log.request_id(int(k)) in missing]
    begun_ns = int(rows["send_ns"].min())
    first_s, last_s = ((at - begun_ns) / 1e9 for at in (min(times), max(times)))
    return f"the others were sent from {first_s:.1f} s to {last_s:.1f} s after the load began"


def _why_mute(retries: Retries, mute: int, answered: int) -> str:
    needs = {form.name: form.needs for form in FORMATS}
    wanted = "; ".join(needs[name] for name in sorted(retries.formats) if name in needs)
    there = f"; of the others, {retries.masked} were masked" if retries.masked else ""
    said = f"the lines of {mute:,} of {answered:,} answered requests do not say how often the ingress tried them"
    return (
        f"{said}{there}; they look like {', '.join(sorted(retries.formats))}, where it takes {wanted or 'a JSON line'}"
    )


def _unreadable(recorder: Recorder, reason: str, retries: Retries | None = None) -> None:
    data: dict[str, object] = {"reason": reason}
    if retries is not None:
        data |= {"lines": retries.lines, "matched": retries.matched, "readable": len(retries.ids - retries.mute)}
        data |= {"retried": retries.retried, "masked": retries.masked, "in_front": retries.in_front}
        data |= {"retried_ids": retries.retried_ids, "upstreams": dict(retries.upstreams)}
    recorder.record("ingress", "Ingress", "log-unreadable", outcome=Outcome.UNKNOWN, data=data)

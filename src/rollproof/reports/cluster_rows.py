"""The cluster's rows of the timeline: phases, acts (`act_rows`), Argo CD, pods and their place in the Service.

Drawn only from what watches reported. It must not fill in a state that none reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.plan import Plan
from rollproof.core.rollout import find_rollout
from rollproof.core.verdict import Verdict
from rollproof.core.watched import PodSeen, endpoint_count, pods_seen, ready_addresses
from rollproof.reports.act_rows import act_sections
from rollproof.reports.sentences import sentence, short_sha
from rollproof.reports.timeline import Axis, Bar, Row, Section, bar, event_bar, merged, states

__all__ = ["cluster_sections", "version_kind"]

_PHASES = ("settle", "baseline", "act", "recovery", "steady", "undo-check")
_POD_LEGEND = (
    ("old", "old version"), ("new", "new version"), ("new pending", "not ready"), ("new terminating", "terminating"),
    ("inservice", "in the Service"),
)  # fmt: skip
_PROOF_LEGEND = (("ok", "as expected"), ("fail", "other"), ("unknown", "no answer"))
_SYNC_KINDS = {"Synced": "good", "OutOfSync": "warn"}
_HEALTH_KINDS = {"Healthy": "good", "Progressing": "busy", "Degraded": "bad", "Missing": "bad"}


def cluster_sections(facts: Facts, axis: Axis, verdicts: Mapping[str, Verdict] | None = None) -> list[Section]:
    """Every section that has at least one row. `verdicts` by subject: they colour drifts and faults."""
    pods = _pods(facts)
    sections = [
        Section(title="Phases", rows=_phases(facts, axis)),
        *act_sections(facts, axis, verdicts or {}),
        Section(title="Argo CD", rows=_argo(facts, axis)),
        Section(title="Pods and endpoints", rows=_pod_rows(facts, axis, pods), legend=_POD_LEGEND),
        Section(title="Proof", rows=_proofs(facts, axis), legend=_PROOF_LEGEND),
        Section(title="Blind", rows=_watch_gaps(facts, axis)),
    ]  # fmt: skip
    return [section for section in sections if section.rows]


def version_kind(plan: Plan, sha: str) -> str:
    """The colour of an app version: the same in every drill of the run."""
    if plan.new_sha and sha == plan.new_sha:
        return "new"
    return "old" if sha and sha == plan.old_sha else "other"


def _phases(facts: Facts, axis: Axis) -> tuple[Row, ...]:
    events = [event for event in facts.find(source="run") if event.what in _PHASES and event.drill == facts.drill]
    bars = tuple(
        event_bar(axis, event, f"phase {event.what}", label=event.what, tip=sentence(event)) for event in events
    )
    return (Row(name="phase", bars=bars),) if bars else ()


def _argo(facts: Facts, axis: Axis) -> tuple[Row, ...]:
    events = list(facts.find(source="watch", subject="Application/"))
    if not events:
        return ()
    spans = states(axis, events)
    return (
        Row(name="sync", kind="thin", bars=_words(axis, spans, "sync_status", _SYNC_KINDS)),
        Row(name="health", kind="thin", bars=_words(axis, spans, "health", _HEALTH_KINDS)),
    )


def _words(
    axis: Axis, spans: Iterable[tuple[Event, float, float]], key: str, kinds: Mapping[str, str]
) -> tuple[Bar, ...]:
    bars = []
    for event, begin_ms, until_ms in spans:
        word = str(event.data.get(key) or "?")
        kind = f"state {kinds.get(word, 'unknown')}"
        bars.append(bar(axis, begin_ms, until_ms, kind, label=word, tip=sentence(event), seq=event.seq))
    return merged(bars, axis)


@dataclass(frozen=True, slots=True)
class _Pod:
    name: str
    uid: str
    seen: tuple[PodSeen, ...]

    def ips(self) -> set[str]:
        return {one.ip for one in self.seen} - {""}

    def note(self) -> str:
        """The version that it runs, or its owner if it is not the app's."""
        last = self.seen[-1]
        return self.image_tag() if last.member else f"of {last.owner}"

    def image_tag(self) -> str:
        return next((one.tag for one in reversed(self.seen) if one.tag), "")


def _pods(facts: Facts) -> list[_Pod]:
    grouped: dict[str, list[PodSeen]] = defaultdict(list)
    for pod in pods_seen(facts):
        grouped[pod.uid].append(pod)
    return [_Pod(seen[0].name, uid, tuple(seen)) for uid, seen in grouped.items()]


def _pod_rows(facts: Facts, axis: Axis, pods: Sequence[_Pod]) -> tuple[Row, ...]:
    act = find_rollout(facts)
    in_service = _in_service(facts, axis)
    rows = []
    for pod in pods:
        sha = pod.image_tag()
        kind = version_kind(facts.plan, sha)
        if act is not None and act.from_sha == act.to_sha:  # a restart: same sha, so the colour shows the pod's age
            kind = "old" if pod.uid in act.old_uids else "new"
        bars = _pod_bars(axis, pod, kind)
        if not bars:
            continue
        served = [one for ip in sorted(pod.ips()) for one in in_service.get(ip, ())]
        rows.append(Row(name=pod.name, note=pod.note(), kind="pod", bars=(*bars, *_during(axis, served, bars))))
    counts = _endpoint_counts(facts, axis)
    if counts:
        rows.append(Row(name="ready endpoints", kind="thin", bars=counts))
    return tuple(rows)


def _pod_bars(axis: Axis, pod: _Pod, kind: str) -> tuple[Bar, ...]:
    alive = [one.event for one in pod.seen if not one.gone]
    gone = next((one.at_s for one in pod.seen if one.gone), None)
    bars = []
    for event, begin_ms, until_ms in states(axis, alive, gone):
        now = PodSeen(event)
        state = "terminating" if now.terminating else "ready" if now.ready else "pending"
        trouble = " bad" if now.trouble else ""
        tip = f"{sentence(event)} ({state} for {(until_ms - begin_ms) / 1000:.2f} s)"
        bars.append(bar(axis, begin_ms, until_ms, f"{kind} {state}{trouble}", tip=tip, seq=event.seq))
    return merged(bars, axis)


def _in_service(facts: Facts, axis: Axis) -> dict[str, list[Bar]]:
    """For each address the intervals in which the Service sent traffic to it."""
    words = ready_addresses(facts)
    bars: dict[str, list[Bar]] = defaultdict(list)
    addresses = {event.seq: ips for event, ips in words}
    for event, begin_ms, until_ms in states(axis, [event for event, _ in words]):
        for ip in sorted(addresses[event.seq]):
            bars[ip].append(
                bar(axis, begin_ms, until_ms, "inservice", tip=f"{ip} is a ready endpoint", seq=event.seq)
            )  # fmt: skip
    return {ip: list(merged(stretches, axis)) for ip, stretches in bars.items()}


def _during(axis: Axis, served: Iterable[Bar], life: Sequence[Bar]) -> tuple[Bar, ...]:
    """The bars of an address, cut to this pod's life: the slices' history continues when the address is used again."""
    begin_ms, end_ms = life[0].start_ms, life[-1].end_ms
    out = []
    for one in served:
        start_ms, until_ms = max(one.start_ms, begin_ms), min(one.end_ms, axis.length_ms)
        if start_ms < min(until_ms, end_ms):
            out.append(bar(axis, start_ms, until_ms, one.kind, tip=one.tip, seq=one.seq))
    return tuple(out)


def _endpoint_counts(facts: Facts, axis: Axis) -> tuple[Bar, ...]:
    words = ready_addresses(facts)
    addresses = {event.seq: ips for event, ips in words}
    bars = []
    for event, begin_ms, until_ms in states(axis, [event for event, _ in words]):
        count = endpoint_count(addresses[event.seq])
        kind = "count zero" if count == 0 else "count"
        tip = f"{count} ready endpoints: {', '.join(sorted(addresses[event.seq])) or 'none'}"
        bars.append(bar(axis, begin_ms, until_ms, kind, label=str(count), tip=tip, seq=event.seq))
    return merged(bars, axis)


def _proofs(facts: Facts, axis: Axis) -> tuple[Row, ...]:
    grouped: dict[str, list[Event]] = defaultdict(list)
    for event in facts.find(source="proof"):
        if event.what in {"version", "database"} and event.drill == facts.drill:
            grouped[f"{event.subject.rpartition('/')[2]} {event.what}"].append(event)
    rows = []
    for name, events in grouped.items():
        good = sum(event.outcome is Outcome.OK for event in events)
        bars = tuple(
            bar(
                axis, axis.at_ms(event.end_s), axis.at_ms(event.end_s), f"mark {event.outcome}",
                tip=short_sha(sentence(event)), seq=event.seq,
            )
            for event in events
        )  # fmt: skip
        rows.append(Row(name=name, note=f"{good}/{len(events)}", kind="thin", bars=bars))
    return tuple(rows)


def _watch_gaps(facts: Facts, axis: Axis) -> tuple[Row, ...]:
    rows = []
    end_s = axis.start_s + axis.length_ms / 1000
    gaps = [
        event
        for event in facts.find(source="watch", what="gap")
        if event.end_s >= axis.start_s and event.start_s <= end_s
    ]
    for subject in dict.fromkeys(event.subject for event in gaps):
        bars = tuple(event_bar(axis, event, "blind", tip=sentence(event)) for event in gaps if event.subject == subject)
        rows.append(Row(name=f"watch {subject.partition('/')[2]}", kind="thin", bars=bars))
    return tuple(rows)

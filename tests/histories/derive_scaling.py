"""Derive the histories of an autoscaler that a lab does not produce by itself, each from a recorded run and one change.

usage: python tests/histories/derive_scaling.py     (writes the folders anew; read the diff before you commit)
"""

from __future__ import annotations

from collections.abc import Callable

from derive import Event, _facts, _only, _write

from rollproof.core.causecodes import CauseCode

SOURCE = "good/metrics-away"
DRILL = "metrics-away"


def not_missed(events: list[Event]) -> list[Event]:
    """The metrics API's server was taken away, and the autoscaler went on measuring: nobody saw an effect."""
    begun = _only(events, "fault", "injecting")
    words = ("effect", "recovered", "undone")
    kept = [e for e in events if e["source"] != "fault" or e["what"] not in words]
    kept = [e for e in kept if not (e["source"] == "watch" and str(e["data"].get("reason")).startswith("FailedGet"))]
    waited = {"end_s": begun["start_s"] + 25.0, "outcome": "unknown", "data": {"waited_s": 25.0}}
    return [*kept, {**begun, "what": "no-effect", **waited}]


def taken_away(events: list[Event]) -> list[Event]:
    """The autoscaler took a replica away while it measured nothing."""
    at_s = _only(events, "fault", "effect")["end_s"] + 8.0
    told = (e for e in events if e["source"] == "watch" and e["subject"].startswith("Deployment/"))
    before = [e for e in told if e["start_s"] <= at_s][-1]
    data = {**before["data"], "spec_replicas": before["data"]["spec_replicas"] - 1}
    data |= {"replicas_by": ["kube-controller-manager"], "initial": False}
    later = next(index for index, event in enumerate(events) if event["start_s"] > at_s)
    fewer = {**before, "what": "modified", "start_s": at_s, "end_s": at_s, "data": data}
    return [*events[:later], fewer, *events[later:]]


CASES: dict[str, tuple[Callable[[list[Event]], list[Event]], dict[str, list[str]], str]] = {
    "inconclusive/metrics-not-missed": (not_missed, {"fault": ["INCONCLUSIVE"], "replicas_kept": ["INCONCLUSIVE"]}, ""),
    "bad/metrics-away-replica-taken": (
        taken_away, {"fault": ["PASS"], "replicas_kept": ["FAIL"]}, CauseCode.SCALED_WITHOUT_METRICS,
    ),
}  # fmt: skip


if __name__ == "__main__":
    for name, (change, must, cause) in CASES.items():
        plan, events = _facts(SOURCE)
        unloaded = [event for event in events if event["source"] != "load"]
        _write(name, SOURCE, plan, change(unloaded), why=change.__doc__, must=must, cause=cause)

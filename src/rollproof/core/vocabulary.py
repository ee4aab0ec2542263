"""Vocabulary: every word that a timeline may hold (docs/facts.md). A word that is not here is a fact that this version
does not know: it may be the one that decides, so no claim is possible without it (ADR 001).

Whoever records a new word adds it here; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollproof.core import abort, gate, jobs, kept, pipelinewords, renewal, scaling, secretsearch
from rollproof.core.event import Event
from rollproof.core.fault import SOURCE, FaultWord
from rollproof.core.posturewords import SOURCE as POSTURE
from rollproof.core.posturewords import PostureWord, Topic

__all__ = ["WORDS", "is_known"]

_CHANGES = frozenset({"added", "modified", "deleted"})
_LEGS = frozenset({
    "started", "committed", "pushed", "refresh-asked", "seen", "synced", "rolled-out", "old-gone", "proven", "failed",
})  # fmt: skip

# (source, kind of the subject: what is before its first slash) -> what
WORDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("run", "phase"): frozenset({"settle", "baseline", "act", "recovery", "steady", "undo-check"}),
    ("run", "judge"): frozenset({"asked"}),
    ("run", "drill"): frozenset({"started", "finished", "skipped", "error", "interrupted"}),
    ("run", "clock"): frozenset({"read", "calibrated"}),
    ("run", "lock"): frozenset({"lost"}),
    (gate.SOURCE, gate.SUBJECT): frozenset(gate.GateWord),
    (abort.SOURCE, abort.SUBJECT): frozenset({abort.WORD}),
    (renewal.SOURCE, renewal.SUBJECT): frozenset({renewal.WORD, renewal.LEFT}),
    ("watch", "Pod"): _CHANGES,
    ("watch", "ReplicaSet"): _CHANGES,
    ("watch", "Deployment"): _CHANGES,
    ("watch", "EndpointSlice"): _CHANGES,
    ("watch", "Node"): _CHANGES,
    ("watch", "HorizontalPodAutoscaler"): _CHANGES,
    ("watch", "Application"): _CHANGES,
    ("watch", "Watch"): frozenset({"gap"}),
    ("release", "Release"): _LEGS | {"restarted"},
    ("rollback", "Rollback"): _LEGS,
    ("proof", "Pod"): frozenset({"version", "database"}),
    ("proof", "Ingress"): frozenset({"version", "database"}),
    ("proof", "Pods"): frozenset({"not-reachable"}),
    ("load", "Load"): frozenset({"self-test", "started", "stopped"}),
    ("drift", "Drift"): frozenset({
        "model", "planned", "skipped", "before", "injected", "void", "detected", "restored", "interfered", "synced",
        "healthy", "after", "stayed", "not-healed", "refreshed", "undone", "error",
    }),
    (SOURCE, "Fault"): frozenset(FaultWord),
    (scaling.SOURCE, "Scaling"): frozenset(scaling.ScalingWord),
    (jobs.SOURCE, jobs.SUBJECT): frozenset(jobs.JobWord),
    (secretsearch.SOURCE, "Secrets"): frozenset(secretsearch.SearchWord),
    (pipelinewords.SOURCE, "Pipeline"): frozenset(pipelinewords.PipelineWord),
    (kept.SOURCE, "Pod"): frozenset({kept.KeptWord.STATE, kept.KeptWord.LOG, kept.KeptWord.UNREAD}),
    (kept.SOURCE, "Events"): frozenset({kept.KeptWord.EVENTS, kept.KeptWord.UNREAD}),
    ("undo", "Undo"): frozenset({"written", "done", "not-needed", "left", "failed", "unknown"}),
    ("ingress", "Ingress"): frozenset({"log", "log-unreadable"}),
    **{(POSTURE, topic.value): frozenset(PostureWord) for topic in Topic},
}  # fmt: skip


def is_known(event: Event) -> bool:
    """Whether this version knows what the event says."""
    return event.what in WORDS.get((event.source, event.subject.partition("/")[0]), ())

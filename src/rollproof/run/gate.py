"""Gate: the steady state between two drills of one run, so that no drill is judged by the effects of another.

All pods of the Deployment serve, none is terminating, Argo CD says Synced and Healthy, and no change of a drill is
left. It checks and records; the meaning of a closed gate for a verdict is in `judge.judging`.
"""

from __future__ import annotations

import time

from rollproof.core.event import Outcome, Recorder
from rollproof.core.gate import SOURCE, SUBJECT, GateWord
from rollproof.errors import RollproofError
from rollproof.faults.registry import all_faults
from rollproof.probes.watches import Watches
from rollproof.store.journal import Journal

__all__ = ["pass_gate", "steady_state_missing"]

_APART_S = 1.0


def pass_gate(
    word: GateWord, watches: Watches, journal: Journal, recorder: Recorder, *, within_s: float, held_s: float
) -> str:
    """Wait for the steady state, and record what came of it. What is missing of it, in words; "" if it was there.

    within_s: until when it must have come. held_s: how long it must then have been there.
    """

    def look() -> bool | None:
        return None if steady_state_missing(watches, journal) else True

    begun_s = time.monotonic()
    try:
        looks = 1 + int(held_s / _APART_S)
        there = watches.poll(look, timeout_s=within_s, in_a_row=looks, apart_s=_APART_S)
        missing = "" if there else steady_state_missing(watches, journal) or "it did not last"
    except RollproofError as error:  # a watch that has ended: nothing can be seen any more
        missing = str(error)
    outcome = Outcome.UNKNOWN if missing else Outcome.OK
    recorder.record(
        SOURCE, SUBJECT, word, outcome=outcome, start_s=begun_s, end_s=time.monotonic(),
        data={"missing": missing or "nothing", "held_s": held_s},
    )  # fmt: skip
    return missing


def steady_state_missing(watches: Watches, journal: Journal) -> str:
    """What is missing now, in words; "" if all is there."""
    kinds = {fault.journal_kind or name for name, fault in all_faults().items()}
    for entry in journal.open_entries():
        if entry.kind in kinds:
            return f"the change of {entry.subject} by {entry.kind} is not undone"
    deployment, pods = watches.deployment(), watches.pods()
    if deployment is None:
        return "there is no Deployment"
    leaving = sorted(name for name, pod in pods.items() if pod.terminating)
    if leaving:
        return f"still terminating: {', '.join(leaving)}"
    serve = watches.serving()
    if len(serve) < deployment.spec_replicas or len(pods) != deployment.spec_replicas:
        return f"{len(serve)} of {deployment.spec_replicas} pods serve, {len(pods)} are there"
    state = watches.application()
    if (state.sync_status, state.health) != ("Synced", "Healthy"):
        return f"Argo CD says {state.sync_status or 'nothing'}, {state.health or 'nothing'}"
    return ""

"""Stored histories with other words about the generator, and more that was lost: no FAIL becomes a PASS by that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rollproof.core.act import find_act
from rollproof.core.facts import Facts
from rollproof.core.outcomes import lane_mask
from rollproof.core.requests import RequestLog
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers.window import open_window
from rollproof.judge.judging import judge_drill
from rollproof.store.runfolder import RunFolder

CORPUS = Path(__file__).resolve().parents[2] / "histories"
STORED = (
    "bad/exits-at-sigterm", "bad/sandbox-stall-1s", "bad/sandbox-burst-503", "bad/sandbox-refused-20ms",
    "bad/sandbox-keepalive-dropped", "bad/sandbox-evict-prestop-too-short", "bad/fault-loses-requests",
    "bad/node-spot-with-dns", "bad/fault-database-silent", "bad/many-small-outages", "bad/p99-above-its-limit",
    "bad/starved-and-refused", "inconclusive/starved-and-silent", "inconclusive/starved-generator",
    "good/sandbox-sound-load", "good/node-lost",
)  # fmt: skip


def on_time(log: RequestLog) -> RequestLog:
    """Nothing is said of any lateness."""
    return replace(log, engine=replace(log.engine, late_ns=np.zeros((0, 2), dtype=np.int64), cpu_s=0.0))


def late(log: RequestLog) -> RequestLog:
    """It says that every third request was 20 ms late."""
    due = log.rows["intended_ns"][::3].astype(np.int64)
    spans = np.stack((due, np.full(len(due), 20_000_000)), axis=1)
    return replace(log, engine=replace(log.engine, late_ns=spans))


def busy(log: RequestLog) -> RequestLog:
    """It says that it used a whole core."""
    return replace(log, engine=replace(log.engine, cpu_s=(log.engine.end_ns - log.engine.start_ns) / 1e9))


CHANGES: dict[str, Callable[[RequestLog], RequestLog]] = {"on time": on_time, "late": late, "busy": busy}


def told(name: str, folder: Path) -> list[Facts]:
    shutil.copytree(CORPUS / name, folder)
    with RunFolder.open(folder) as run:
        found = [run.facts(drill) for drill in run.plan.drills]
    return [facts for facts in found if facts.requests is not None and find_act(facts) is not None]


def more_lost(facts: Facts, outcome: str) -> Facts:
    """Twenty requests more of the app, in the window, one after the other, ended so."""
    log, act = facts.requests, find_act(facts)
    assert log is not None
    assert act is not None
    window = open_window(facts, log, act)
    mine = np.flatnonzero(window.inside & lane_mask(log, log.open_loop[0]) & (log.rows["outcome"] == 0))[:20]
    rows = log.rows.copy()
    rows["outcome"][mine], rows["version"][mine] = len(log.outcomes), 0
    return replace(facts, requests=replace(log, rows=rows, outcomes=(*log.outcomes, outcome)))


def by_traffic(facts: Facts) -> dict[tuple[str, str], Verdict]:
    judged = ("availability", "outage", "loss")
    return {(one.checker, one.subject): one for one in judge_drill(facts) if one.checker in judged}


@pytest.mark.parametrize("name", STORED)
def test_no_fail_becomes_a_pass(name: str, tmp_path: Path) -> None:
    """By other words about the generator; and of more that was lost none makes any verdict better."""
    rank = {Result.PASS: 0, Result.SKIPPED: 0, Result.INCONCLUSIVE: 1, Result.FAIL: 2}
    judged = 0
    for facts in told(name, tmp_path / "run"):
        log, before = facts.requests, by_traffic(facts)
        assert log is not None
        for how, change in CHANGES.items():
            changed = replace(facts, requests=change(log))
            after = by_traffic(changed)
            for who, verdict in before.items():
                pair = {verdict.result, after[who].result}
                assert pair != {Result.PASS, Result.FAIL}, (how, who, verdict.why, after[who].why)
                judged += 1
            for outcome in ("http.503", "read.timeout", "connect.ECONNREFUSED"):
                worse = by_traffic(more_lost(changed, outcome))
                for who, verdict in after.items():
                    assert rank[worse[who].result] >= rank[verdict.result], (how, outcome, who, worse[who].why)
                    if outcome != "read.timeout" and verdict.result is Result.PASS and who[0] == "availability":
                        assert worse[who].result is Result.FAIL, (how, outcome, worse[who].why)
    assert judged

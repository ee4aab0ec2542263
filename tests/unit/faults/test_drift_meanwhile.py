"""A drift in the middle of a fault: made when it is asked for, healed meanwhile, after the fault, or by nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import story
from fakecluster import NAMESPACE, FakeCluster
from faults.drifting import Drill

from rollproof.core.injection import Injection, Skip
from rollproof.faults.selfheal.meanwhile import DriftMeanwhile

TRIAL = "revision-history"
BEFORE = ["planned", "before"]
HEALED = ["restored", "synced", "healthy", "after", "undone"]


class Away(FakeCluster):
    """Nothing is healed until Argo CD is back."""

    def __init__(self) -> None:
        super().__init__(heals=False)

    def back(self) -> None:
        self.heals = True
        self._heal(("Deployment", "web"))


def run(
    drill: Drill, held: Callable[[Callable[[], None]], None], *, ended: bool = False, limit_s: float = 5.0
) -> list[str]:
    """The words of the trial without `detected`, which may or may not be seen; `held` is what goes on meanwhile."""
    made = drill.plan()
    drifts = [one for one in made if isinstance(one, Injection)]
    held_one = [replace(one, fault="argocd-redis-away", limit_s=limit_s) for one in drifts[:1]]
    injections = (*held_one, *drifts)
    plan = story.plan(injections=injections, skips=tuple(one for one in made if isinstance(one, Skip)))
    runner = DriftMeanwhile(drill.context, drill.recorder, drill.journal)
    with runner.around(plan, ended=lambda: ended) as change:
        held(change)
    return [word for word in drill.words() if word != "detected"]


def history(cluster: FakeCluster) -> int:
    return int(cluster.get("Deployment", NAMESPACE, "web")["spec"]["revisionHistoryLimit"])


def test_it_is_made_when_it_is_asked_for_and_healed_when_argo_cd_is_back(tmp_path: Path) -> None:
    cluster = Away()
    drill = Drill(tmp_path, TRIAL, cluster=cluster)
    seen: list[int] = [history(cluster)]

    def held(change: Callable[[], None]) -> None:
        seen.append(history(cluster))
        change()
        seen.append(history(cluster))
        assert drill.words() == [*BEFORE, "injected"], "nobody waits while the fault is held"
        cluster.back()

    assert run(drill, held) == [*BEFORE, "injected", *HEALED]
    assert seen == [5, 5, 6]
    assert drill.said("undone") == {"by": "self-heal"}
    assert drill.journal.open_entries() == []


def test_a_repair_during_the_fault_is_seen_although_nobody_waited_for_it(tmp_path: Path) -> None:
    cluster = Away()
    drill = Drill(tmp_path, TRIAL, cluster=cluster)

    def held(change: Callable[[], None]) -> None:
        change()
        cluster.back()
        cluster.heals = False  # nothing comes after the block

    assert run(drill, held) == [*BEFORE, "injected", *HEALED]


def test_what_is_not_healed_within_the_limit_is_put_back(tmp_path: Path) -> None:
    drill = Drill(tmp_path, TRIAL, cluster=FakeCluster(heals=False), deadline_s=0.2)
    words = run(drill, lambda change: change(), limit_s=0.1)
    assert words == [*BEFORE, "injected", "not-healed", "refreshed", "undone"]
    assert drill.said("undone") == {"by": "harness"}
    assert history(drill.cluster) == 5


def test_a_repair_may_come_as_late_as_the_limit_of_the_fault_allows(tmp_path: Path) -> None:
    cluster = Away()
    drill = Drill(tmp_path, TRIAL, cluster=cluster, deadline_s=0.15)  # and so long for Synced and Healthy
    later = threading.Timer(0.3, cluster.back)

    def held(change: Callable[[], None]) -> None:
        change()
        later.start()

    assert run(drill, held, limit_s=60.0) == [*BEFORE, "injected", *HEALED]


def test_nothing_is_changed_where_the_fault_was_never_held(tmp_path: Path) -> None:
    drill = Drill(tmp_path, TRIAL)
    assert run(drill, lambda _: None) == BEFORE
    assert drill.cluster.deeds == []
    assert drill.journal.open_entries() == []


def test_a_drill_that_was_ended_at_once_waits_for_no_repair(tmp_path: Path) -> None:
    drill = Drill(tmp_path, TRIAL, cluster=FakeCluster(heals=False), deadline_s=600.0)
    assert run(drill, lambda change: change(), ended=True) == [*BEFORE, "injected", "error", "undone"]
    assert history(drill.cluster) == 5


def test_what_the_fault_raises_is_not_swallowed_and_the_entry_stays_for_the_end_of_the_run(tmp_path: Path) -> None:
    drill = Drill(tmp_path, TRIAL, cluster=FakeCluster(heals=False))

    def held(change: Callable[[], None]) -> None:
        change()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(drill, held)
    assert [entry.kind for entry in drill.journal.open_entries()] == ["field-restore"]


def test_a_refusal_is_the_trials_error_and_none_of_the_fault(tmp_path: Path) -> None:
    drill = Drill(tmp_path, TRIAL)
    drill.cluster.conflicts = 100
    assert run(drill, lambda change: change())[:3] == [*BEFORE, "error"]


def test_a_trial_that_the_target_cannot_have_is_skipped_and_the_fault_goes_on(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "pull-secret")
    deployment = drill.cluster.get("Deployment", NAMESPACE, "web")
    del deployment["spec"]["template"]["spec"]["imagePullSecrets"]
    drill.cluster.put(deployment)
    went: list[bool] = []

    def held(change: Callable[[], None]) -> None:
        change()
        went.append(True)

    assert run(drill, held) == ["skipped"]
    assert went == [True]

"""A plan names every change before it is made, and refuses what the fences or the target forbid."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from story import NEW, OLD, target

from rollproof.core.injection import Injection
from rollproof.core.plan import Plan, Touch
from rollproof.core.target import ArgoCd, BadReleases, DriftSettings, FaultSettings, Fences, ReleaseSettings, Target
from rollproof.errors import CannotJudgeError, FenceError, InputError
from rollproof.faults.database_away import DatabaseAway
from rollproof.faults.registry import all_faults
from rollproof.preflight.planning import (
    Found,
    Order,
    _fault_touches,
    check_order,
    closed_fence,
    make_plan,
    named_drills,
    wanted_target,
)
from rollproof.suites import Drill

FOUND = Found(running_sha=OLD, env_repo_head="0" * 40)


def make(*drills: str, on: Target | None = None, found: Found = FOUND, **order: Any) -> Plan:
    return make_plan(Order(drills=drills, **order), on or with_shas(OLD, NEW), found, run_id="run")


def with_shas(*shas: str, **changes: Any) -> Target:
    return target(release=ReleaseSettings(shas=shas, **changes))


def test_the_first_candidate_that_does_not_run_is_released() -> None:
    assert make("zero-downtime").new_sha == NEW
    assert make("zero-downtime", sha="ccccccc").new_sha == "ccccccc"
    assert make("drift").new_sha == ""


def test_the_same_sha_again_is_a_restart_and_says_so() -> None:
    plan = make("zero-downtime", sha=OLD)
    assert plan.restart
    assert plan.new_sha == OLD
    (restart,) = (touch for touch in plan.touches if touch.subject.startswith("Deployment/"))
    assert "restartedAt" in restart.change
    assert "the annotation stays" in restart.undo
    assert not any("newTag" in touch.change for touch in plan.touches)
    assert make("release", on=with_shas()).restart


def test_a_rollback_needs_something_to_revert() -> None:
    with pytest.raises(InputError, match="needs a release to revert"):
        make("rollback", sha=OLD)


@pytest.mark.parametrize(
    ("drill", "on_fail", "keep"),
    [("release", "restore", "on-pass"), ("release", "keep", "always"), ("zero-downtime", "restore", "never")],
)
def test_what_stays(drill: str, on_fail: str, keep: str) -> None:
    assert make(drill, on_fail=on_fail).keep == keep


def test_every_change_is_named_with_its_undo() -> None:
    drift = Injection(
        fault="drift-configmap", drill="drift", subject="ConfigMap/shop/x", change="a: 1 -> 2", undo="a: 1", args={},
        affects_traffic=True, limit_s=5.0, effect_within_s=5.0, dead_man="self-heal itself",
    )  # fmt: skip
    plan = make("zero-downtime", "drift", "rollback", found=replace(FOUND, faults=(drift,)))
    said = [(touch.drill, touch.change) for touch in plan.touches]
    assert ("zero-downtime", f"newTag of ghcr.io/shop/web: {OLD} -> {NEW} (commit and push)") in said
    assert ("rollback", f"git revert of that commit: {NEW} -> {OLD} (commit and push)") in said
    assert not [change for drill, change in said if drill == "rollback" and "newTag" in change]
    assert plan.injections == (drift,)
    line = Touch(
        drill="drift", subject="ConfigMap/shop/x", change="a: 1 -> 2",
        undo="a: 1; if rollproof is killed: self-heal itself",
    )  # fmt: skip
    assert line in plan.touches
    assert all(touch.undo for touch in plan.touches)


@pytest.mark.parametrize(
    ("drill", "felt"),
    [
        (Drill(name="x", faults=("pod-delete",)), True),
        (Drill(name="x", faults=("drift-void-patch", "pod-delete")), True),
        (Drill(name="x", faults=("drift-void-patch",)), False),
        (Drill(name="x", faults=("drift-void-patch",), load=True), True),
        (Drill(name="x"), True),  # nobody knows what it does
    ],
)
def test_production_refuses_what_traffic_could_feel(drill: Drill, felt: bool) -> None:
    on = target(fences=Fences(namespaces=("shop",), production=True))
    order = Order(drills=("x",), table={"x": drill})
    assert bool(closed_fence(order, on)) is felt
    assert not closed_fence(replace(order, mean_production="story"), on)


def application_changes(plan: Plan) -> list[str]:
    return [touch.change.split()[0] for touch in plan.touches if touch.subject == "Application/argocd/shop"]


@pytest.mark.parametrize(
    ("drill", "drift", "profile", "changes"),
    [
        ("drift", {}, "refresh", ["annotations"]),  # a drill waits for rest by a refresh
        ("drift", {"reset": "sync"}, "refresh", ["annotations", "operation:"]),
        (
            "drift",
            {"reset": "sync", "trials": ("void-patch",)},
            "refresh",
            ["annotations"],
        ),  # a control waits for nothing
        ("drift", {"reset": "sync"}, "read-only", []),
        ("zero-downtime", {"reset": "sync"}, "refresh", ["annotations"]),
    ],
)
def test_what_is_written_to_the_application_is_named(
    drill: str, drift: dict[str, Any], profile: str, changes: list[str]
) -> None:
    argocd = ArgoCd(application="shop", profile=profile)
    assert application_changes(make(drill, on=target(argocd=argocd, drift=DriftSettings(**drift)))) == changes


def test_what_a_sync_of_ours_writes_and_what_stays_of_a_refresh_is_named() -> None:
    plan = make("drift", on=target(drift=DriftSettings(reset="sync")))
    refresh, sync = (touch for touch in plan.touches if touch.subject.startswith("Application/"))
    assert "refresh-timestamp stays" in refresh.undo
    assert "status.operationState set to null" in sync.change
    assert "Lease/shop/rollproof" in {touch.subject for touch in plan.touches}


def test_a_rollback_alone_deploys_first() -> None:
    assert any("newTag" in touch.change for touch in make("rollback").touches)


BAD = BadReleases(never_ready="eeeeeee", crash_loop="fffffff")


def with_bad(**named: Any) -> Target:
    return target(release=ReleaseSettings(bad=replace(BAD, **named)))


@pytest.mark.parametrize(
    ("wanted", "kind", "sha"),
    [("", "never_ready", "eeeeeee"), ("crash-loop", "crash_loop", "fffffff"), ("crash_loop", "crash_loop", "fffffff")],
)
def test_a_bad_release_is_the_named_one_or_the_first_of_the_file(wanted: str, kind: str, sha: str) -> None:
    plan = make("bad-release", on=with_bad(), bad=wanted)
    assert (plan.bad, plan.new_sha, plan.keep) == (kind, sha, "never")
    assert any(f"{OLD} -> {sha} (commit and push, known to be bad: {kind})" in touch.change for touch in plan.touches)
    assert make("release", on=with_bad()).bad == ""


def test_only_a_missing_image_may_be_missing() -> None:
    assert not make("bad-release", on=with_bad(image_missing="0000000"), bad="image-missing").needs_image
    assert make("bad-release", on=with_bad(), bad="crash-loop").needs_image


@pytest.mark.parametrize(
    ("words", "on", "said"),
    [
        ({}, target(), "names no version that is known to be bad"),
        ({"bad": "image-missing"}, with_bad(), "--bad image-missing: release.bad names no such version"),
        ({"sha": NEW}, with_bad(), "--sha: a bad release is named in the target file"),
        ({"drills": ("bad-release", "release")}, with_bad(), "a run of its own"),
    ],
)
def test_a_bad_release_that_cannot_be_had_is_refused(words: dict[str, Any], on: Target, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_order(Order(**{"drills": ("bad-release",), **words}), on)


def test_observing_changes_nothing_in_the_repository() -> None:
    plan = make("zero-downtime", on=with_shas(mode="observe"), sha=NEW)
    assert [touch.change for touch in plan.touches if "env.git" in touch.subject or "nowhere" in touch.subject] == [
        f"nothing: we wait for {NEW}"
    ]


def test_production_is_refused_unless_meant() -> None:
    production = target(fences=Fences(namespaces=("shop",), production=True))
    with pytest.raises(FenceError, match="production") as caught:
        check_order(Order(drills=("zero-downtime",)), production)
    assert "--i-mean-production" in caught.value.hint
    check_order(Order(drills=("zero-downtime",), mean_production="story"), production)
    meant = wanted_target(Order(drills=("zero-downtime",), mean_production="story"), production)
    assert (production.fences.production, meant.fences.production) == (True, False)


def test_of_production_only_drifts_without_effect_on_traffic_need_no_flag() -> None:
    production = target(fences=Fences(namespaces=("shop",), production=True))
    check_order(Order(drills=("drift",)), production)
    check_order(Order(drills=("drift",), trials=("void-patch", "revision-history")), production)
    with pytest.raises(FenceError, match=r"traffic could feel drift image, env$"):
        check_order(Order(drills=("drift",), trials=("image", "void-patch", "env")), production)
    assert closed_fence(Order(drills=("drift", "rollback")), production)


@pytest.mark.parametrize("sha", ["latest", "-x", "a b", "a" * 129])
def test_a_sha_of_the_command_line_is_checked_as_one_of_the_file(sha: str) -> None:
    with pytest.raises(InputError, match="--sha: "):
        check_order(Order(drills=("release",), sha=sha), target())
    check_order(Order(drills=("release",), sha="1a2b3c4"), target())


def test_observing_never_restarts() -> None:
    with pytest.raises(CannotJudgeError, match="no pod would be replaced"):
        make("release", on=with_shas(mode="observe"), sha=OLD)


def test_observe_needs_a_sha_and_cannot_roll_back() -> None:
    observing = with_shas(mode="observe")
    with pytest.raises(InputError, match="none is named"):
        check_order(Order(drills=("zero-downtime",)), observing)
    with pytest.raises(InputError, match="pushes a revert itself"):
        check_order(Order(drills=("rollback",), sha=NEW), observing)
    check_order(Order(drills=("drift",)), observing)


def test_trials_from_the_command_line_are_checked() -> None:
    assert wanted_target(Order(drills=("drift",), trials=("env",)), target()).drift.trials == ("env",)
    with pytest.raises(InputError, match="did you mean 'image'"):
        wanted_target(Order(drills=("drift",), trials=("imgae",)), target())
    with pytest.raises(InputError, match="--trial: entries 1 and 3 are the same; name each once"):
        wanted_target(Order(drills=("drift",), trials=("env", "image", "env")), target())


def test_a_trial_that_takes_everything_away_needs_its_own_setting() -> None:
    order = Order(drills=("drift",), trials=("delete-deployment",))
    with pytest.raises(InputError, match=r"needs drift\.delete_deployment = true"):
        wanted_target(order, replace(target(), drift=DriftSettings(delete_ingress=True, delete_hpa=True)))
    allowed = replace(target(), drift=DriftSettings(delete_deployment=True))
    assert wanted_target(order, allowed).drift.trials == ("delete-deployment",)


def test_that_a_drill_ends_when_nodes_are_lost_is_in_the_plan_where_it_has_load() -> None:
    def said(*drills: str, limit: int | None = 1, **order: Any) -> list[str]:
        touches = make(*drills, on=target(faults=FaultSettings(abort_nodes=limit)), **order).touches
        return [touch.change for touch in touches if touch.subject == "Nodes"]

    (change,) = said("zero-downtime")
    assert change.startswith("nothing: watched; the drill ends at once if more than 1 are NotReady")
    assert said("zero-downtime", limit=None) == said("drift") == []
    assert len(said("drift", under_load=True)) == 1


def test_each_limit_that_ends_a_drill_at_once_has_a_row() -> None:
    def said(*drills: str, **limits: Any) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for touch in make(*drills, on=target(faults=FaultSettings(**limits))).touches:
            if "ends at once" in touch.change:
                found.setdefault(touch.subject.partition("/")[0], []).append(touch.change)
        return found

    always = said("zero-downtime")
    assert list(always) == ["Load"]
    dead, lost = always["Load"]
    assert dead.endswith("if no lane of the app has a good answer for more than 10 s")
    assert lost.endswith("requests are lost")
    every = said("zero-downtime", abort_after_s=4.0, abort_failures=7, abort_pods=0, abort_nodes=2)
    assert {kind: len(rows) for kind, rows in every.items()} == {"Load": 2, "Pods": 1, "Nodes": 1}
    assert "for more than 4 s" in every["Load"][0]
    assert "more than 7 requests" in every["Load"][1]
    assert "more than 0 of them do not serve" in every["Pods"][0]
    assert said("drift", abort_pods=0) == {}
    assert said("database-refused")["Load"][0].endswith(", longer while a fault takes the app away by design")
    named = {limit.name for limit in fields(FaultSettings) if limit.name.startswith("abort_")}
    assert named == {"abort_after_s", "abort_failures", "abort_pods", "abort_nodes"}, "a new limit needs its row"


@pytest.mark.parametrize("name", [name for name, fault in all_faults().items() if isinstance(fault, DatabaseAway)])
def test_the_plan_says_of_each_fault_of_the_database_what_it_does_to_others(name: str) -> None:
    fault = all_faults()[name]
    one = Injection(
        fault=name, drill=name, subject="Deployment/db/db", change="x", undo="y", args={}, affects_traffic=True,
        limit_s=60.0, effect_within_s=10.0,
    )  # fmt: skip
    _, others = _fault_touches([one], Drill(name=name))
    assert others.subject == "whoever else uses Deployment/db/db"
    assert others.change == fault.others
    assert others.change.endswith("which Deployments these are cannot be known from here")


def test_load_that_a_drill_would_not_need_is_in_the_plan_and_is_no_small_thing_in_production() -> None:
    on = target()
    plan = make("drift", on=on, under_load=True)
    (load,) = (touch for touch in plan.touches if touch.subject == on.app.base_url)
    assert plan.under_load
    assert load.change == f"{on.traffic.rate_per_s:g} requests/s while the drill runs (--under-load)"
    alone = make("drift", on=on)
    assert (alone.under_load, [*alone.touches]) == (
        False,
        [one for one in plan.touches if one is not load and one.subject != "Load"],
    )
    assert [Order(drills=("drift",), under_load=wanted).loads for wanted in (True, False)] == [True, False]
    production = target(fences=Fences(namespaces=("shop",), production=True))
    with pytest.raises(FenceError, match="--under-load would put load on it"):
        check_order(Order(drills=("drift",), under_load=True), production)
    check_order(Order(drills=("drift",), under_load=True, mean_production="story"), production)


class TestWhichDrills:
    """Of the word `chaos`: the command line's choice, else the target file's, else all."""

    def test_the_nearest_choice_decides(self) -> None:
        chosen = target(faults=FaultSettings(chaos=("pod-evict", "pod-delete")))
        assert named_drills("chaos", target=chosen) == ("pod-delete", "pod-evict")
        assert named_drills("chaos", ["container-stop"], chosen) == ("container-stop",)
        assert len(named_drills("chaos", target=target())) > 10
        assert named_drills("release", target=chosen) == ("release",)

    def test_a_wrong_name_says_where_it_stands(self) -> None:
        with pytest.raises(InputError, match=r"faults\.chaos: there is no chaos drill 'pod-delte'") as caught:
            named_drills("chaos", target=target(faults=FaultSettings(chaos=("pod-delte",))))
        assert "did you mean 'pod-delete'?" in caught.value.hint
        with pytest.raises(InputError, match="--only is for chaos, not for drift"):
            named_drills("drift", ["pod-delete"])


def test_a_drill_that_only_reads_touches_nothing_not_even_the_lock() -> None:
    for name in ("posture", "secrets"):
        touches = make(name).touches
        assert touches
        assert all(one.change.startswith(("nothing: ", "skipped: ")) for one in touches), touches
    both = {
        touch.drill for touch in make("posture", "release").touches
    }  # a run with a lock has it for all of its drills
    assert both == {"posture", "release"}


def test_a_drill_that_only_reads_may_run_on_production() -> None:
    production = target(fences=Fences(namespaces=("shop",), production=True))
    assert closed_fence(Order(drills=("posture",)), production) == ""
    assert closed_fence(Order(drills=("posture", "release")), production)

"""Deploys: refreshes, syncs of new revisions, retries, manual syncs, prune, windows and polls."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rollproof_sandbox.api.patches import MERGE
from tests.sandbox.argocd.rig import FIRST, SECOND, THIRD, Rig

RigWith = Callable[..., Rig]
RESET = {"initiatedBy": {"username": "rollproof"}, "sync": {"syncStrategy": {"apply": {}}}}


def reset(rig: Rig) -> None:
    """As sync_to_reset in src/rollproof/clients/argo.py."""
    order = {**RESET, "sync": {**RESET["sync"], "revision": rig.status()["sync"]["revision"]}}
    rig.change_application({"operation": order, "status": {"operationState": None}})


def test_at_the_start_everything_is_as_after_a_sync_some_time_ago(rig_with: RigWith) -> None:
    rig = rig_with(attempts=3, finished_ago_s=75.0)
    status = rig.status()
    assert rig.view() == ("Synced", "Healthy", "-", "-", "Succeeded", 3)
    assert status["sync"]["revision"] == status["operationState"]["syncResult"]["revision"] == rig.first
    assert status["sync"]["comparedTo"]["source"] == rig.application()["spec"]["source"]
    assert status["operationState"]["finishedAt"] == "2026-11-18T11:22:05Z"  # 75 s before the clock's begin
    assert rig.image() == f"registry.local/shop:{FIRST}"
    listed = [(one["kind"], one["name"], one["status"]) for one in status["resources"]]
    assert listed == [
        ("ConfigMap", "shop-config", "Synced"), ("ConfigMap", "shop-features", "Synced"), ("Service", "shop", "Synced"),
        ("Deployment", "shop", "Synced"), ("Ingress", "shop", "Synced"),
    ]  # fmt: skip


def test_a_refresh_without_a_new_commit_takes_the_request_away_and_nothing_else(rig: Rig) -> None:
    rig.refresh()
    rig.run(1)
    assert rig.views() == [
        ("Synced", "Healthy", "-", "refresh", "Succeeded", 0), ("Synced", "Healthy", "-", "-", "Succeeded", 0)
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["3.2.6", "3.6.1"])
def test_the_order_of_a_deploy_is_that_of_the_recorded_run(rig_with: RigWith, version: str) -> None:
    """As after the push in tests/histories/good/all; with 3.6 the request goes after the status (good/release). There
    the operation may run before both: the two are at work at the same time, and here they are not."""
    rig = rig_with(version=version)
    rig.rolls_out = False
    commit = rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    rig.complete()
    rig.run(1)
    assert rig.views() == [
        ("Synced", "Healthy", "-", "refresh", "Succeeded", 0),
        ("Synced", "Healthy", "op", "refresh", "", 0),
        *([("OutOfSync", "Healthy", "op", "refresh", "", 0)] if version == "3.6.1" else []),
        ("OutOfSync", "Healthy", "op", "-", "", 0),
        ("OutOfSync", "Healthy", "op", "-", "Running", 0),
        ("OutOfSync", "Healthy", "-", "-", "Succeeded", 0),
        ("Synced", "Progressing", "-", "-", "Succeeded", 0),
        ("Synced", "Healthy", "-", "-", "Succeeded", 0),
    ]
    assert rig.image() == f"registry.local/shop:{SECOND}"
    assert rig.status()["sync"]["revision"] == rig.state()["syncResult"]["revision"] == commit
    assert [one["revision"] for one in rig.status()["history"]] == [rig.first, commit]


def test_a_commit_is_not_seen_without_a_refresh_until_the_next_poll(rig: Rig) -> None:
    commit = rig.commit(SECOND)
    rig.run(110)
    assert rig.status()["sync"]["revision"] == rig.first
    rig.run(15)
    assert rig.status()["sync"]["revision"] == commit


def test_only_comparisons_with_the_newest_commit_move_reconciled_at(rig_with: RigWith) -> None:
    rig = rig_with(self_heal=False)
    first = rig.status()["reconciledAt"]
    rig.run(10)
    rig.drift()
    rig.run(1)
    assert rig.view()[0] == "OutOfSync"
    assert rig.status()["reconciledAt"] == first
    rig.refresh()
    rig.run(1)
    assert rig.status()["reconciledAt"] > first


@pytest.mark.parametrize(
    ("version", "stamps", "lost"),
    [("3.5.7", ("1", "2"), True), ("3.6.1", ("", ""), True), ("3.6.1", ("1", "1"), True), ("3.6.1", ("1", "2"), False)],
)
def test_a_request_during_a_comparison_is_deleted_with_the_one_that_was_seen(
    rig_with: RigWith, version: str, stamps: tuple[str, str], lost: bool
) -> None:
    """The lost-request race, #28392; 3.6 tells two requests apart by their time stamps."""
    rig = rig_with(version=version)
    rig.refresh(stamps[0])
    rig.run(0.02)  # the comparison is under way, the branch has been looked up
    commit = rig.commit(SECOND)
    rig.refresh(stamps[1])
    rig.run(5)
    assert rig.view()[3] == "-"
    assert rig.status()["sync"]["revision"] == (rig.first if lost else commit)
    stays = version == "3.5.7"  # nobody there knows it
    left = rig.application()["metadata"].get("annotations") or {}
    assert ("argocd.argoproj.io/refresh-timestamp" in left) is stays


def test_the_harness_reset_is_a_full_sync_that_starts_the_count_again(rig: Rig) -> None:
    rig.drift()
    rig.run(2)
    assert rig.attempts() == 1
    rig.changes.clear()
    reset(rig)
    rig.run(2)
    assert rig.views() == [
        ("Synced", "Healthy", "op", "-", "", 0), ("Synced", "Healthy", "op", "-", "Running", 0),
        ("Synced", "Healthy", "-", "-", "Succeeded", 0),
    ]  # fmt: skip
    assert rig.state()["operation"]["initiatedBy"] == {"username": "rollproof"}
    assert len(rig.status()["history"]) == 2


def test_an_operation_over_an_old_state_starts_anew_since_3_3(rig: Rig) -> None:
    rig.drift()
    rig.run(2)
    rig.change_application({"operation": {**RESET, "sync": {"revision": rig.first}}})
    rig.run(2)
    assert rig.attempts() == 0
    assert "resources" not in rig.state()["operation"]["sync"]
    assert rig.application()["operation"] is None


def test_an_operation_over_an_old_state_keeps_its_count_and_its_partial_list_with_3_2(rig_with: RigWith) -> None:
    """Why the harness nulls operationState: there the state is a merge patch with empty fields left out (1.4)."""
    rig = rig_with(version="3.2.6")
    rig.drift()
    rig.run(2)
    rig.change_application({"operation": {**RESET, "sync": {"revision": rig.first}}})
    rig.run(2)
    assert rig.attempts() == 1
    assert rig.state()["operation"]["sync"]["resources"] == [{"kind": "ConfigMap", "name": "shop-config"}]


def test_a_commit_that_cannot_be_built_is_a_comparison_error_at_once_if_somebody_asks(rig: Rig) -> None:
    rig.change_overlay("  - ../../base", "  - ../../gone")
    rig.refresh()
    rig.run(2)
    assert rig.view()[0] == "Unknown"
    [condition] = rig.status()["conditions"]
    assert condition["type"] == "ComparisonError"
    assert "kustomize build" in condition["message"]
    assert rig.image() == f"registry.local/shop:{FIRST}"
    rig.change_overlay("  - ../../gone", "  - ../../base")
    rig.refresh()
    rig.run(2)
    assert rig.view()[0] == "Synced"
    assert "conditions" not in rig.status()


def test_a_poll_keeps_quiet_about_an_error_for_180_s(rig: Rig) -> None:
    rig.change_overlay("  - ../../base", "  - ../../gone")
    rig.run(130)
    assert rig.view()[0] == "Synced"


def test_what_git_does_not_declare_any_more_is_pruned(rig: Rig) -> None:
    base = rig.repo.read("base/kustomization.yaml")
    rig.repo.commit({"base/kustomization.yaml": base.replace("  - configmap-features.yaml\n", "")}, message="less")
    rig.refresh()
    rig.run(3)
    assert rig.store.get("ConfigMap", "shop", "shop-features") is None
    assert rig.view()[:2] == ("Synced", "Healthy")


def test_without_prune_it_stays_and_the_application_is_out_of_sync(rig_with: RigWith) -> None:
    rig = rig_with({"syncPolicy": {"automated": {"prune": False}}})
    base = rig.repo.read("base/kustomization.yaml")
    rig.repo.commit({"base/kustomization.yaml": base.replace("  - configmap-features.yaml\n", "")}, message="less")
    rig.refresh()
    rig.run(3)
    assert rig.store.get("ConfigMap", "shop", "shop-features") is not None
    assert rig.view()[0] == "OutOfSync"
    assert rig.status()["sync"]["revision"] != rig.state()["syncResult"]["revision"]  # nothing was synced for it
    assert [one["name"] for one in rig.status()["resources"] if one.get("requiresPruning")] == ["shop-features"]


def test_a_sync_without_prune_says_that_it_left_something(rig_with: RigWith) -> None:
    rig = rig_with({"syncPolicy": {"automated": None}})
    base = rig.repo.read("base/kustomization.yaml")
    rig.repo.commit({"base/kustomization.yaml": base.replace("  - configmap-features.yaml\n", "")}, message="less")
    rig.refresh()
    rig.run(2)
    reset(rig)
    rig.run(2)
    results = {(one["kind"], one["name"]): one for one in rig.state()["syncResult"]["resources"]}
    assert results["ConfigMap", "shop-features"]["status"] == "PruneSkipped"
    assert results["Deployment", "shop"]["message"] == "deployment.apps/shop unchanged"
    assert rig.store.get("ConfigMap", "shop", "shop-features") is not None


def test_what_somebody_owns_is_not_ours_although_it_has_our_tracking_id(rig: Rig) -> None:
    """As ReplicaSets, which get the annotations of their Deployment."""
    owner = rig.store.get("Service", "shop", "shop") or {}
    reference = {"apiVersion": "v1", "kind": "Service", "name": "shop", "uid": owner["metadata"]["uid"]}
    for name, owners in (("owned", [reference]), ("extra", [])):
        metadata = {
            "name": name, "namespace": "shop", "ownerReferences": owners,
            "annotations": {"argocd.argoproj.io/tracking-id": f"shop:/ConfigMap:shop/{name}"},
        }  # fmt: skip
        rig.store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, manager="test")
    rig.run(3)
    assert rig.store.get("ConfigMap", "shop", "owned") is not None
    assert rig.store.get("ConfigMap", "shop", "extra") is None


def test_an_untracked_object_is_left_alone(rig: Rig) -> None:
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mine", "namespace": "shop"},
        "data": {"a": "b"},
    }
    rig.store.create(made, manager="kubectl")
    rig.refresh()
    rig.run(2)
    assert rig.view()[0] == "Synced"
    assert rig.store.get("ConfigMap", "shop", "mine") is not None


def test_an_overlay_that_would_wipe_everything_out_is_refused(rig: Rig) -> None:
    text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n"
    rig.repo.commit({"overlays/dev/kustomization.yaml": text}, message="nothing")
    rig.refresh()
    rig.run(3)
    assert "will wipe out all resources" in rig.status()["conditions"][0]["message"]
    assert rig.store.get("Service", "shop", "shop") is not None


def test_a_sync_that_fails_is_tried_again_with_growing_waits_and_then_given_up(rig_with: RigWith) -> None:
    """Without a word about it in the spec: limit 5, 5 s times 2 to the k."""
    rig = rig_with({"syncPolicy": {"retry": None}}, sync_fails="one or more objects failed to apply, reason: denied")
    commit = rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    state = rig.state()
    assert (state["phase"], state["retryCount"]) == ("Running", 1)
    assert "finishedAt" in state
    said = "one or more objects failed to apply, reason: denied. Retrying attempt #1 at "
    assert state["message"].startswith(said)
    assert re.fullmatch(r"2026-\d\d-\d\dT[\d:]{8}Z\.", state["message"].removeprefix(said))
    assert "operation" in rig.application()
    counts = {}
    for second in range(400):
        rig.run(1)
        counts.setdefault(rig.state().get("retryCount", 0), second + 4)
    assert [round(counts[n + 1] - counts[n], -1) for n in (2, 3, 4)] == [20, 40, 80]
    assert rig.state()["phase"] == "Failed"
    assert rig.state()["message"].endswith("denied (retried 5 times).")
    assert rig.image() == f"registry.local/shop:{FIRST}"
    assert rig.status()["conditions"][0]["message"].startswith(f"Failed last sync attempt to [{commit}]")


def test_while_an_attempt_is_repeated_the_state_has_no_end(rig_with: RigWith) -> None:
    rig = rig_with(sync_fails="denied")
    rig.commit(SECOND)
    rig.refresh()
    rig.run(16)
    states = [
        (change.object["status"].get("operationState") or {}) for change in rig.changes if change.kind == "Application"
    ]  # fmt: skip
    [again] = [one for one in states if one.get("message") == "Retrying operation. Attempt #1"]
    assert again["phase"] == "Running"
    assert "finishedAt" not in again


def test_a_retry_limit_of_the_spec_is_kept(rig_with: RigWith) -> None:
    policy = {"retry": {"limit": 1, "backoff": {"duration": "1s", "factor": 2, "maxDuration": "30s"}}}
    rig = rig_with({"syncPolicy": policy}, sync_fails="denied")
    rig.commit(SECOND)
    rig.refresh()
    rig.run(10)
    assert rig.state()["message"] == "denied (retried 1 times)."


def test_an_operation_that_waits_can_be_terminated(rig_with: RigWith) -> None:
    rig = rig_with(sync_fails="denied")
    rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    rig.change_application({"status": {"operationState": {"phase": "Terminating"}}})
    rig.run(2)
    assert rig.state()["phase"] == "Failed"
    assert rig.application().get("operation") is None


def test_what_the_cluster_refuses_fails_the_sync(rig: Rig) -> None:
    rig.change_overlay("count: 2", "count: -1")
    rig.refresh()
    rig.run(3)
    assert rig.state()["retryCount"] == 1
    assert "must be greater than or equal to 0" in rig.state()["message"]


def test_a_deny_window_blocks_heals_and_syncs_until_it_is_gone(rig: Rig) -> None:
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    project = ("AppProject", "argocd", "default")
    rig.store.patch(*project, {"spec": {"syncWindows": [window]}}, MERGE, manager="test")
    rig.drift()
    rig.run(30)
    assert rig.greeting() == "drifted"
    assert rig.view()[0] == "OutOfSync"
    reset(rig)
    rig.run(5)
    assert rig.state()["message"] == "Sync operation blocked by sync window"
    assert rig.greeting() == "drifted"
    rig.store.patch(*project, {"spec": {"syncWindows": None}}, MERGE, manager="test")
    rig.refresh()
    rig.run(3)
    assert rig.greeting() == "hello from dev"


def test_a_commit_during_a_sync_is_found_after_it(rig: Rig) -> None:
    rig.commit(SECOND)
    rig.refresh()
    rig.run(0.45)
    assert rig.state()["phase"] == "Running"
    commit = rig.commit(THIRD)
    rig.run(5)
    assert rig.status()["sync"]["revision"] == rig.state()["syncResult"]["revision"] == commit


def test_a_changed_source_is_compared_at_once(rig: Rig) -> None:
    rig.change_application({"spec": {"source": {"path": "base"}, "syncPolicy": {"automated": None}}})
    rig.run(2)
    assert rig.status()["sync"]["comparedTo"]["source"]["path"] == "base"
    assert rig.view()[0] == "OutOfSync"

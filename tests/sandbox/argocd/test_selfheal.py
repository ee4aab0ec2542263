"""Self-heal: when it happens, when it waits, and when it does not happen at all (docs/argocd.md 1.2 to 1.7)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sandbox.argocd.rig import SECOND, Rig

RigWith = Callable[..., Rig]


def test_the_order_of_what_the_application_says_is_that_of_the_recorded_run(rig: Rig) -> None:
    """As after Drift/configmap in tests/histories/good/all."""
    rig.drift()
    rig.run(2)
    assert rig.views() == [
        ("Synced", "Healthy", "op", "-", "", 0),
        ("OutOfSync", "Healthy", "op", "-", "", 0),
        ("OutOfSync", "Healthy", "op", "-", "Running", 1),
        ("OutOfSync", "Healthy", "-", "-", "Succeeded", 1),
        ("Synced", "Healthy", "-", "-", "Succeeded", 1),
    ]


def test_a_service_that_is_gone_makes_the_application_missing_until_it_is_back(rig: Rig) -> None:
    rig.store.delete("Service", "shop", "shop", manager="kubectl")
    rig.run(2)
    assert [view[:2] for view in rig.views()] == [
        ("Synced", "Healthy"), ("OutOfSync", "Missing"), ("OutOfSync", "Missing"), ("OutOfSync", "Missing"),
        ("Synced", "Healthy"),
    ]  # fmt: skip
    assert rig.store.get("Service", "shop", "shop") is not None


def test_a_heal_is_a_partial_sync_that_leaves_no_history(rig: Rig) -> None:
    rig.drift()
    rig.run(2)
    order = rig.state()["operation"]
    assert order["initiatedBy"] == {"automated": True}
    assert order["sync"]["resources"] == [{"kind": "ConfigMap", "name": "shop-config"}]
    assert [one["name"] for one in rig.state()["syncResult"]["resources"]] == ["shop-config"]
    assert rig.state()["syncResult"]["revision"] == rig.first
    assert len(rig.status()["history"]) == 1


def test_detection_and_apply_take_less_than_a_second(rig: Rig) -> None:
    rig.drift()
    healed_s = rig.healed_after_s(5)
    assert healed_s is not None
    assert 0.2 <= healed_s <= 0.6


@pytest.mark.parametrize(
    ("attempts", "gap_s"), [(0, 0), (1, 2), (2, 6), (3, 18), (4, 54), (5, 162), (6, 300), (9, 300)]
)
def test_the_gap_grows_with_the_heals_and_runs_from_the_last_operations_end(
    rig_with: RigWith, attempts: int, gap_s: float
) -> None:
    rig = rig_with(attempts=attempts, finished_ago_s=1.0)
    rig.drift()
    healed_s = rig.healed_after_s(400)
    assert healed_s is not None
    assert max(gap_s - 3.5, 0) <= healed_s <= max(gap_s - 1.5, 0) + 0.7  # a second has passed before; stamps are cut
    rig.run(1)
    assert rig.attempts() == attempts + 1


def test_the_look_after_the_gap_does_not_ask_git(rig_with: RigWith) -> None:
    """A level 2 comparison uses the branch as it was seen: the heal comes first, the new commit after it."""
    rig = rig_with(attempts=3, finished_ago_s=1.0)
    rig.drift()
    rig.run(1)
    commit = rig.commit(SECOND)
    rig.run(25)
    assert ("OutOfSync", "Healthy", "op", "-", "Running", 4) in rig.views()
    assert rig.status()["sync"]["revision"] == commit


def test_after_the_gap_nothing_is_waited_for(rig_with: RigWith) -> None:
    rig = rig_with(attempts=5, finished_ago_s=163.0)
    rig.drift()
    healed_s = rig.healed_after_s(5)
    assert healed_s is not None
    assert healed_s <= 0.6


@pytest.mark.parametrize(
    ("version", "ago_s", "count_after"),
    [("3.2.6", 325.0, 5), ("3.2.6", 331.0, 1), ("3.3.19", 331.0, 5), ("3.6.1", 9e4, 5)],
)
def test_the_count_starts_again_330_s_after_a_successful_operation_before_3_3(
    rig_with: RigWith, version: str, ago_s: float, count_after: int
) -> None:
    rig = rig_with(version=version, attempts=4, finished_ago_s=ago_s)
    rig.drift()
    rig.run(2)
    assert rig.greeting() == "hello from dev"
    assert rig.attempts() == count_after


def test_a_new_revision_starts_the_count_again(rig_with: RigWith) -> None:
    rig = rig_with(attempts=4, finished_ago_s=60.0)
    rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    assert rig.attempts() == 0
    rig.drift()
    rig.run(2)
    assert rig.attempts() == 1


def test_after_a_commit_that_changes_nothing_the_next_repair_is_a_plain_full_sync(rig_with: RigWith) -> None:
    """docs/argocd.md 1.7: it would even happen without selfHeal."""
    rig = rig_with(attempts=3, finished_ago_s=1.0, self_heal=False)
    commit = rig.repo.commit({"README.md": "other words\n"}, message="words")
    rig.refresh()
    rig.run(1)
    assert rig.status()["sync"]["revision"] == commit
    assert rig.state()["syncResult"]["revision"] == rig.first
    rig.drift()
    rig.run(2)
    assert rig.greeting() == "hello from dev"
    assert rig.attempts() == 0
    assert "resources" not in rig.state()["operation"]["sync"]
    assert [one["revision"] for one in rig.status()["history"]] == [rig.first, commit]


def test_without_self_heal_a_drift_stays_and_is_told(rig_with: RigWith) -> None:
    rig = rig_with(self_heal=False)
    rig.drift()
    rig.run(400)
    assert rig.greeting() == "drifted"
    assert rig.view()[0] == "OutOfSync"


@pytest.mark.parametrize("automated", [None, {"enabled": False, "selfHeal": True}])
def test_without_automated_sync_a_drift_stays(rig_with: RigWith, automated: object) -> None:
    rig = rig_with({"syncPolicy": {"automated": automated}})
    rig.drift()
    rig.run(5)
    assert rig.greeting() == "drifted"


def test_an_application_marked_as_skipped_is_left_alone_until_the_mark_goes(rig: Rig) -> None:
    rig.change_application({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}})
    rig.run(1)
    rig.changes.clear()
    rig.drift()
    rig.refresh()
    rig.run(100)
    assert rig.greeting() == "drifted"
    assert rig.views() == [("Synced", "Healthy", "-", "refresh", "Succeeded", 0)]
    rig.change_application({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": None}}})
    rig.run(3)
    assert rig.greeting() == "hello from dev"


def test_after_a_failed_sync_of_the_revision_nothing_is_healed(rig: Rig) -> None:
    rig.change_application({"status": {"operationState": {"phase": "Failed", "message": "denied"}}})
    rig.drift()
    rig.run(5)
    assert rig.greeting() == "drifted"
    [condition] = rig.status()["conditions"]
    assert condition["type"] == "SyncError"
    assert condition["message"] == f"Failed last sync attempt to [{rig.first}]: denied"


def test_an_undeclared_field_is_no_drift(rig: Rig) -> None:
    body = {"metadata": {"annotations": {"note": "mine"}}, "data": {"EXTRA": "1"}}
    rig.store.patch("ConfigMap", "shop", "shop-config", body, "application/merge-patch+json", manager="kubectl-edit")
    rig.run(5)
    assert rig.view()[0] == "Synced"
    assert (rig.store.get("ConfigMap", "shop", "shop-config") or {})["data"]["EXTRA"] == "1"


def test_status_updates_of_other_controllers_start_no_comparison(rig: Rig) -> None:
    rig.store.patch(
        "Service", "shop", "shop", {"status": {"conditions": [{"type": "X", "status": "True"}]}},
        "application/merge-patch+json", manager="someone", subresource="status",
    )  # fmt: skip
    due_s = rig.controller.agenda.next_s()
    assert due_s is None or due_s > rig.clock.now_s() + 10  # the poll


def test_applying_gives_the_field_to_argocd_and_says_what_was_applied(rig: Rig) -> None:
    rig.drift()
    rig.run(2)
    found = rig.store.get("ConfigMap", "shop", "shop-config") or {}
    [ours] = [
        one for one in found["metadata"]["managedFields"]
        if "f:GREETING" in one["fieldsV1"].get("f:data", {})
    ]  # fmt: skip
    assert ours["manager"] == "argocd-controller"
    annotations = found["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/tracking-id"] == "shop:/ConfigMap:shop/shop-config"
    assert '"GREETING":"hello from dev"' in annotations["kubectl.kubernetes.io/last-applied-configuration"]


def test_an_object_that_was_deleted_comes_back_complete(rig: Rig) -> None:
    before = rig.store.get("ConfigMap", "shop", "shop-config") or {}
    rig.store.delete("ConfigMap", "shop", "shop-config", manager="kubectl")
    rig.run(2)
    after = rig.store.get("ConfigMap", "shop", "shop-config") or {}
    assert after["data"] == before["data"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]

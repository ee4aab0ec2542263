"""Knobs: each of settings.ArgoCd does what it says; what the defaults do is in the other files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rollproof_sandbox.api.patches import MERGE
from tests.sandbox.argocd.rig import FIRST, SECOND, Rig

RigWith = Callable[..., Rig]


def test_sees_new_commits_off_a_refresh_finds_nothing_new_until_the_next_one(rig_with: RigWith) -> None:
    rig = rig_with(sees_new_commits=False)
    rig.commit(SECOND)
    rig.refresh()
    rig.run(200)
    assert rig.view() == ("Synced", "Healthy", "-", "-", "Succeeded", 0)
    assert rig.status()["sync"]["revision"] == rig.first
    undo = rig.commit(FIRST)
    rig.refresh()
    rig.run(3)
    assert rig.status()["sync"]["revision"] == undo


def test_claims_new_revision_says_all_and_applies_nothing(rig_with: RigWith) -> None:
    rig = rig_with(claims_new_revision=True)
    commit = rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    assert rig.view() == ("Synced", "Healthy", "-", "-", "Succeeded", 0)
    assert rig.status()["sync"]["revision"] == rig.state()["syncResult"]["revision"] == commit
    assert rig.image() == f"registry.local/shop:{FIRST}"
    rig.drift()
    rig.run(3)
    assert rig.greeting() == "hello from dev"


def test_sync_fails_does_not_touch_heals_of_the_first_revision(rig_with: RigWith) -> None:
    rig = rig_with(sync_fails="denied")
    rig.drift()
    rig.run(2)
    assert rig.greeting() == "hello from dev"


def test_notices_drift_off_only_a_refresh_heals(rig_with: RigWith) -> None:
    rig = rig_with(notices_drift=False)
    rig.drift()
    rig.run(300)
    assert rig.greeting() == "drifted"
    assert rig.views() == []
    rig.refresh()
    rig.run(2)
    assert rig.greeting() == "hello from dev"
    assert rig.attempts() == 1


def test_notices_drift_off_a_rollout_still_gets_healthy(rig_with: RigWith) -> None:
    rig = rig_with(notices_drift=False)
    rig.rolls_out = False
    rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    assert rig.view()[:2] == ("Synced", "Progressing")
    rig.complete()
    rig.run(1)
    assert rig.view()[:2] == ("Synced", "Healthy")


def test_heal_delay_is_between_noticing_and_healing(rig_with: RigWith) -> None:
    rig = rig_with(heal_delay_s=2.0)
    rig.drift()
    rig.run(1)
    assert rig.view()[0] == "OutOfSync"
    assert rig.greeting() == "drifted"
    healed_s = rig.healed_after_s(5)
    assert healed_s is not None
    assert 1.2 <= healed_s <= 1.6
    rig.run(5)
    rig.drift()
    healed_s = rig.healed_after_s(5)
    assert healed_s is not None  # the second drift is delayed as the first
    assert healed_s >= 2.0


def test_heal_delay_begins_anew_if_somebody_else_has_healed(rig_with: RigWith) -> None:
    rig = rig_with(heal_delay_s=2.0)
    rig.drift()
    rig.run(1)
    rig.drift("hello from dev")
    rig.run(1.5)
    rig.drift()
    healed_s = rig.healed_after_s(5)
    assert healed_s is not None
    assert healed_s >= 2.0
    assert rig.state().get("operation", {"sync": {}})["sync"].get("autoHealAttemptsCount", 1) == 1


def test_heal_delay_is_not_for_syncs_of_new_revisions(rig_with: RigWith) -> None:
    rig = rig_with(heal_delay_s=30.0)
    rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    assert rig.image() == f"registry.local/shop:{SECOND}"


@pytest.mark.parametrize("deleted", [True, False])
def test_restores_partly_one_other_declared_field_is_missing_and_stays_so(rig_with: RigWith, deleted: bool) -> None:
    rig = rig_with(restores_partly=True)
    if deleted:
        rig.store.delete("ConfigMap", "shop", "shop-config", manager="kubectl")
    else:
        rig.drift()
    rig.run(60)
    assert rig.view() == ("Synced", "Healthy", "-", "-", "Succeeded", 1)
    assert (rig.store.get("ConfigMap", "shop", "shop-config") or {})["data"] == {"GREETING": "hello from dev"}


def test_restores_partly_a_full_sync_brings_back_everything(rig_with: RigWith) -> None:
    rig = rig_with(restores_partly=True)
    rig.drift()
    rig.run(2)
    rig.commit(SECOND)
    rig.refresh()
    rig.run(3)
    data = (rig.store.get("ConfigMap", "shop", "shop-config") or {})["data"]
    assert data == {"GREETING": "hello from dev", "LOG_LEVEL": "info"}


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_restores_partly_is_for_every_kind(rig_with: RigWith, kind: str) -> None:
    rig = rig_with(restores_partly=True)
    before = rig.store.get(kind, "shop", "shop") or {}
    rig.store.delete(kind, "shop", "shop", manager="kubectl")
    rig.run(5)
    after = rig.store.get(kind, "shop", "shop") or {}
    assert (after["spec"], after["metadata"].get("labels")) != (before["spec"], before["metadata"]["labels"])
    assert rig.view()[0] == "Synced"


def test_lost_refreshes_so_many_requests_are_deleted_unseen(rig_with: RigWith) -> None:
    rig = rig_with(lost_refreshes=2)
    commit = rig.commit(SECOND)
    for _ in range(2):
        rig.refresh()
        rig.run(2)
        assert rig.view()[3] == "-"
        assert rig.status()["sync"]["revision"] == rig.first
    rig.refresh()
    rig.run(2)
    assert rig.status()["sync"]["revision"] == commit


def test_poll_s_is_the_longest_time_until_a_commit_is_seen(rig_with: RigWith) -> None:
    rig = rig_with(poll_s=10.0)
    commit = rig.commit(SECOND)
    rig.run(12.5)
    assert rig.status()["sync"]["revision"] == commit


def test_ignore_differences_covers_its_field_and_no_other(rig_with: RigWith) -> None:
    rule = {"group": "", "kind": "ConfigMap", "name": "shop-config", "jsonPointers": ["/data/GREETING"]}
    rig = rig_with(ignore_differences=(rule,))
    rig.drift()
    rig.run(5)
    assert (rig.view()[0], rig.greeting()) == ("Synced", "drifted")
    body = {"data": {"LOG_LEVEL": "debug"}}
    rig.store.patch("ConfigMap", "shop", "shop-config", body, MERGE, manager="kubectl-edit")
    rig.run(5)
    found = rig.store.get("ConfigMap", "shop", "shop-config") or {}
    assert found["data"]["LOG_LEVEL"] == "info"


def test_ignore_differences_without_a_group_is_for_the_core_group_only(rig_with: RigWith) -> None:
    """#28590."""
    rig = rig_with(ignore_differences=({"kind": "Deployment", "jsonPointers": ["/spec/replicas"]},))
    rig.store.patch("Deployment", "shop", "shop", {"spec": {"replicas": 5}}, MERGE, manager="kubectl-edit")
    rig.run(5)
    assert (rig.store.get("Deployment", "shop", "shop") or {})["spec"]["replicas"] == 2

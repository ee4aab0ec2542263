"""Drifts, one at a time, on a fake cluster: timed, told and undone, whoever else is at work."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import story
from fakecluster import NAMESPACE, FakeCluster, operation_state, stamp
from faults.drifting import Drill

from rollproof.clients.kube import ApiError, Object, UnreachableError
from rollproof.core.facts import Facts
from rollproof.core.trials import TRIALS
from rollproof.core.verdict import Result
from rollproof.judge.checkers import drift

HEALS = tuple(name for name, trial in TRIALS.items() if not trial.control)


@pytest.mark.parametrize("name", HEALS)
def test_a_drift_that_is_healed_is_timed_and_told(name: str, tmp_path: Path) -> None:
    drill = Drill(tmp_path, name).run()
    words = drill.words()
    assert words[:3] == ["planned", "before", "injected"]
    assert [word for word in words[3:] if word != "detected"] == ["restored", "synced", "healthy", "after", "undone"]
    assert drill.said("restored")["manager"] == "argocd-controller"
    assert drill.said("restored")["complete"] is True
    assert drill.said("after")["attempts"] == drill.said("before")["attempts"] + 1
    assert drill.said("undone") == {"by": "self-heal"}
    assert drill.journal.open_entries() == []


@pytest.mark.parametrize("name", HEALS)
def test_what_is_not_healed_is_put_back_by_the_harness(name: str, tmp_path: Path) -> None:
    cluster = FakeCluster(heals=False)
    drill = Drill(tmp_path, name, cluster=cluster, deadline_s=0.2).run()
    assert drill.said("not-healed")["stage"] == "not-detected"
    assert drill.said("undone") == {"by": "harness"}
    for (kind, item_name), declared in cluster.git.items():
        live = cluster.get(kind, NAMESPACE, item_name)
        assert [live.get(word) for word in ("spec", "data")] == [declared.get(word) for word in ("spec", "data")]
    assert drill.journal.open_entries() == []


class Refreshed(FakeCluster):
    """Argo CD's watch is broken: it looks only when it is asked to."""

    def __init__(self) -> None:
        super().__init__(heals=False)

    def patch(self, kind: str, namespace: str, name: str, body: Object, **options: Any) -> Object:
        reply = super().patch(kind, namespace, name, body, **options)
        if kind == "Application" and "argocd.argoproj.io/refresh" in str(body):
            self._heal(("ConfigMap", "config"))
        return reply


@pytest.mark.parametrize("name", ["configmap", "delete-configmap"])
def test_one_refresh_after_the_deadline_shows_whether_the_watch_is_broken(name: str, tmp_path: Path) -> None:
    drill = Drill(tmp_path, name, cluster=Refreshed(), deadline_s=0.2).run()
    words = drill.words()
    assert words[words.index("not-healed") :] == ["not-healed", "refreshed", "undone"]
    assert drill.said("refreshed") == {"restored": True, "manager": "argocd-controller"}
    assert drill.journal.open_entries() == []


@pytest.mark.parametrize("settings", [{"profile": "observe"}, {"cause": "selfHeal"}])
def test_no_refresh_where_it_is_not_allowed_or_a_cause_is_known(settings: dict[str, str], tmp_path: Path) -> None:
    cluster = FakeCluster(heals=False)
    drill = Drill(tmp_path, "configmap", cluster=cluster, deadline_s=0.2)
    if "profile" in settings:
        drill.target = replace(drill.target, argocd=replace(drill.target.argocd, profile="observe"))
    else:
        cluster.patch("Application", "argocd", "shop", {"spec": {"syncPolicy": {"automated": {"selfHeal": False}}}})
    assert "refreshed" not in drill.run().words()


def test_a_refresh_that_is_refused_leaves_the_trial_as_it_was(tmp_path: Path) -> None:
    class Refusing(FakeCluster):
        def patch(self, kind: str, namespace: str, name: str, body: Object, **options: Any) -> Object:
            if kind == "Application":
                raise ApiError("patch of applications is forbidden", status=403, reason="Forbidden")
            return super().patch(kind, namespace, name, body, **options)

    words = Drill(tmp_path, "configmap", cluster=Refusing(heals=False), deadline_s=0.2).run().words()
    assert words[-2:] == ["not-healed", "undone"]


def test_the_journal_has_the_entry_before_the_deed(tmp_path: Path) -> None:
    events = Drill(tmp_path, "configmap").run().recorder.events
    order = [event.what for event in events if event.what in ("written", "injected")]
    assert order == ["written", "injected"]


def test_self_heal_off_is_a_cause_that_shortens_the_wait(tmp_path: Path) -> None:
    cluster = FakeCluster(heals=False)
    cluster.patch("Application", "argocd", "shop", {"spec": {"syncPolicy": {"automated": {"selfHeal": False}}}})
    drill = Drill(tmp_path, "configmap", cluster=cluster, deadline_s=3600).run()
    said = drill.said("not-healed")
    assert [cause for cause, holds in said["checked"].items() if holds] == ["self_heal_off"]
    assert said["waited_s"] >= 0.2


def test_a_void_patch_is_void_and_changes_nothing(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "void-patch")
    before = drill.cluster.get("Service", NAMESPACE, "web")
    assert drill.run().words() == ["planned", "before", "void"]
    assert drill.cluster.get("Service", NAMESPACE, "web") == before


def test_an_undeclared_annotation_stays_and_is_then_removed(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "undeclared-annotation").run()
    assert drill.words() == ["planned", "before", "injected", "stayed", "undone"]
    assert "rollproof/drift-control" not in str(drill.cluster.get("Service", NAMESPACE, "web"))


def test_an_application_that_is_not_at_rest_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._SETTLE_S", 0.05)
    cluster = FakeCluster()
    cluster.patch("Application", "argocd", "shop", {"status": {"sync": {"status": "OutOfSync"}}})
    deeds = list(cluster.deeds)
    drill = Drill(tmp_path, "configmap", cluster=cluster).run()
    assert drill.words() == ["planned", "before"]
    assert drill.said("before")["fair"] is False
    assert "OutOfSync" in drill.said("before")["why_unfair"]
    assert cluster.deeds == deeds


def test_a_write_between_reading_and_patching_is_no_drift_and_is_tried_again(tmp_path: Path) -> None:
    cluster = FakeCluster()
    cluster.conflicts = 1
    drill = Drill(tmp_path, "configmap", cluster=cluster).run()
    assert "restored" in drill.words()
    assert drill.journal.open_entries() == []


def test_a_refusal_of_the_api_is_an_error_of_unknown_outcome(tmp_path: Path) -> None:
    cluster = FakeCluster()
    cluster.conflicts = 99
    drill = Drill(tmp_path, "delete-service", cluster=cluster).run()
    assert drill.words() == ["planned", "before", "error"]
    assert drill.journal.open_entries() == []
    assert ("Service", "web") in cluster.objects


# -- what proves that nothing was healed ------------------------------------------------------------------------


class Blind(FakeCluster):
    """The watch of one kind delivers nothing, and no error."""

    def __init__(self, kind: str, *, heals: bool = True) -> None:
        super().__init__(heals=heals)
        self.kind = kind

    def watch(self, kind: str, namespace: str, *, resource_version: str, labels: str = "", fields: str) -> Any:
        return super().watch(
            kind if kind != self.kind else "Nothing",
            namespace,
            resource_version=resource_version,
            labels=labels,
            fields=fields,
        )


@pytest.mark.parametrize("name", ["configmap", "service-selector", "delete-configmap", "delete-service"])
@pytest.mark.parametrize(("heals", "found"), [(True, "original"), (False, "ours")])
def test_a4_a_watch_that_did_not_show_our_own_deed_says_nothing(
    name: str, heals: bool, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._LATE_S", 0.02)
    drill = Drill(tmp_path, name, cluster=Blind(TRIALS[name].kind, heals=heals), deadline_s=0.2).run()
    said = drill.said("not-healed")
    assert (said["seen"], said["found"]) == (False, found)
    assert drill.said("undone") == {"by": "other" if heals else "harness"}, "who did it was not seen"
    assert "refreshed" not in drill.words()
    (verdict,) = drift.check(Facts(plan=story.plan(target=drill.target), drill="", events=tuple(drill.recorder.events)))
    assert verdict.result is Result.INCONCLUSIVE
    assert "our own change was not seen on that watch" in verdict.why


def test_a4_a_control_that_stayed_must_have_been_seen(tmp_path: Path) -> None:
    blind = Drill(tmp_path, "undeclared-annotation", cluster=Blind("Service")).run().said("stayed")
    assert (blind["seen"], blind["found"]) == (False, "ours")
    seeing = Drill(tmp_path / "other", "undeclared-annotation").run().said("stayed")
    assert (seeing["seen"], seeing["found"]) == (True, "ours")


def test_a4_what_is_seen_to_be_there_still_is_not_healed(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "configmap", cluster=FakeCluster(heals=False), deadline_s=0.2).run()
    said = drill.said("not-healed")
    assert (said["seen"], said["found"], said["stage"]) == (True, "ours", "not-detected")


def test_a4_the_stage_is_read_where_the_watch_of_the_application_shows_nothing(tmp_path: Path) -> None:
    class Synced(Blind):
        """Argo CD starts an operation, which repairs nothing, and its watch is blind."""

        def patch(self, kind: str, namespace: str, name: str, body: Object, **options: Any) -> Object:
            reply = super().patch(kind, namespace, name, body, **options)
            if kind == "ConfigMap" and not options.get("dry_run"):
                app = self.objects["Application", "shop"]
                app["status"]["operationState"] = operation_state(2, stamp(datetime.now(UTC)))
            return reply

    drill = Drill(tmp_path, "configmap", cluster=Synced("Application", heals=False), deadline_s=0.2).run()
    assert drill.said("not-healed")["stage"] == "not-restored"


def test_a18_a_repair_after_a_refresh_is_argo_cds(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "configmap", cluster=Refreshed(), deadline_s=0.2).run()
    assert drill.said("undone") == {"by": "refresh"}


def test_a14_what_the_plan_skipped_stays_skipped(tmp_path: Path) -> None:
    """The plan says that replicas belong to an HPA; then the HPA is removed."""
    cluster = FakeCluster()
    reference = {"kind": "Deployment", "name": "web"}
    cluster.put({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {"scaleTargetRef": reference}})
    drill = Drill(tmp_path, "replicas", "configmap", cluster=cluster)
    planned = drill.plan()
    del cluster.objects["HorizontalPodAutoscaler", "web"]
    drill.run(planned)
    assert [word for word in drill.words() if word in ("skipped", "injected")] == ["skipped", "injected"]
    assert "HorizontalPodAutoscaler" in drill.said("skipped")["reason"]
    assert {deed[1] for deed in cluster.deeds} == {"ConfigMap"}


@pytest.mark.parametrize("changed", ["object", "field", "value"])
def test_a14_another_object_or_field_than_the_plans_is_not_touched(tmp_path: Path, changed: str) -> None:
    """The value may follow a release that came in between."""
    drill = Drill(tmp_path, "image")
    (injection,) = drill.plan()
    args: dict[str, Any] = {**injection.args, "field": "spec.other"}
    other: dict[str, Any] = {"object": {"subject": "Deployment/shop/other"}, "field": {"args": args}}
    drill.run((replace(injection, **other.get(changed, {"change": "image = 'another'"})),))
    assert ("injected" in drill.words()) is (changed == "value")


# -- others at work ---------------------------------------------------------------------------------------------


class Meddled(FakeCluster):
    """Somebody writes another zone into the ConfigMap: before Argo CD repairs it, or right after."""

    def __init__(self, zone: str, *, after: bool, heals: bool = True) -> None:
        super().__init__(heals=heals)
        self.zone, self.after = zone, after

    def _meddle(self) -> None:
        item = self.get("ConfigMap", NAMESPACE, "config")
        self.put({**item, "data": {"ZONE": self.zone}}, "other-controller")

    def _changed(self, key: tuple[str, str]) -> None:
        if not self.after:
            self._meddle()
        super()._changed(key)

    def _heal(self, key: tuple[str, str]) -> None:
        super()._heal(key)
        if self.after:
            self._meddle()


def drifted(folder: Path) -> str:
    """The value that the trial writes."""
    return str(Drill(folder, "configmap").run().said("injected")["to"])


def test_a_third_value_before_the_repair_is_told(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "configmap", cluster=Meddled("Mars", after=False)).run()
    assert drill.said("interfered") == {"manager": "other-controller", "value": "Mars", "after_restored": False}
    assert drill.said("restored")["manager"] == "argocd-controller"
    assert drill.journal.open_entries() == []


@pytest.mark.parametrize("again", ["Mars", "our own value"])
def test_a_change_after_the_repair_is_told_and_not_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.setattr("rollproof.faults.selfheal.runner._STAYS_S", 5.0)
    (tmp_path / "before").mkdir()
    zone = drifted(tmp_path / "before") if again == "our own value" else again
    drill = Drill(tmp_path, "configmap", cluster=Meddled(zone, after=True), deadline_s=60.0).run()
    assert drill.said("interfered") == {"manager": "other-controller", "value": zone, "after_restored": True}


def test_what_somebody_else_wrote_is_left_to_him(tmp_path: Path) -> None:
    cluster = Meddled("Mars", after=False, heals=False)
    drill = Drill(tmp_path, "configmap", cluster=cluster, deadline_s=0.2).run()
    assert drill.said("interfered")["value"] == "Mars"
    assert drill.said("left")["found"] == "Mars"
    assert cluster.get("ConfigMap", NAMESPACE, "config")["data"] == {"ZONE": "Mars"}


def test_a_deleted_object_that_is_deleted_again_after_it_came_back(tmp_path: Path) -> None:
    class Deleting(FakeCluster):
        def _heal(self, key: tuple[str, str]) -> None:
            super()._heal(key)
            self._send(key, "DELETED", self.objects.pop(key))

    drill = Drill(tmp_path, "delete-configmap", cluster=Deleting()).run()
    assert drill.said("interfered") == {"manager": "", "value": "deleted", "after_restored": True}


@pytest.mark.parametrize("name", ["configmap", "delete-configmap", "undeclared-annotation"])
def test_nobody_else_means_no_such_fact(tmp_path: Path, name: str) -> None:
    for heals in (True, False):
        (tmp_path / str(heals)).mkdir()
        drill = Drill(tmp_path / str(heals), name, cluster=FakeCluster(heals=heals), deadline_s=0.2).run()
        assert "interfered" not in drill.words()


# -- an API server that is away ---------------------------------------------------------------------------------


def test_a_patch_that_got_no_answer_is_unknown_and_what_it_did_is_undone(tmp_path: Path) -> None:
    class Mute(FakeCluster):
        """Does the first patch, and does not answer."""

        mute = True

        def patch(self, *rest: Any, dry_run: bool = False, **more: Any) -> Any:
            done = super().patch(*rest, dry_run=dry_run, **more)
            if self.mute and not dry_run:
                self.mute = False
                raise UnreachableError("the API server did not answer")
            return done

    drill = Drill(tmp_path, "configmap", cluster=Mute(heals=False)).run()
    assert drill.words() == ["planned", "before", "error", "undone"]
    assert drill.cluster.get("ConfigMap", NAMESPACE, "config")["data"] == {"ZONE": "UTC"}
    assert drill.journal.open_entries() == []


def test_no_drift_whose_undo_cannot_be_written(tmp_path: Path) -> None:
    drill = Drill(tmp_path, "configmap")
    (tmp_path / "undo.jsonl").symlink_to("/dev/full")
    deeds = list(drill.cluster.deeds)
    drill.run()
    assert drill.words() == ["planned", "before", "error"]
    assert "no regular file" in drill.said("error")["reason"]
    assert drill.cluster.deeds == deeds

"""What a reader answers where a fact lacks a field, an attempt a word, or a target a setting: each in a row."""

from __future__ import annotations

import json
from typing import Any

import pytest
from story import NEW, Story, target

from rollproof.core.badrelease import BadRelease
from rollproof.core.drift import drift_trial, drift_trials
from rollproof.core.event import Event, Outcome
from rollproof.core.fault import Fault, FaultWord, find_faults
from rollproof.core.gate import why_closed
from rollproof.core.kept import file_of
from rollproof.core.loadsettings import Lane, Settings, Tls
from rollproof.core.outside import says
from rollproof.core.reasons import BadKind, cannot_start
from rollproof.core.requests import LAYOUT, OPTIONAL
from rollproof.core.rollout import find_rollout
from rollproof.core.runframe import reason
from rollproof.core.scaling import ScalingWord, deleted_meanwhile, find_scalings, replicas_seen, scalers_seen
from rollproof.core.secretsearch import search_of
from rollproof.core.target import App, Control
from rollproof.core.watched import deployed_tag, deployed_tags, failing_replicasets, image_tag, watch_gaps

# ---- watches ----


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("web:1", "1"),
        ("shop/web:1", "1"),
        ("registry:5000/shop/web:1", "1"),
        ("registry:5000/shop/web", ""),
        ("registry:5000/web", ""),
        ("web", ""),
        ("web:1@sha256:0", "1"),
        ("web@sha256:0", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_tag_of_an_image(image: object, tag: str) -> None:
    assert image_tag(image) == tag


def test_a_deleted_object_says_nothing_of_its_state() -> None:
    told = Story()
    for what, at, count in (("added", 1, 2), ("deleted", 3, 9)):
        told.tell("watch", "Deployment/shop/web", what, at=at, image=f"web:{count}", spec_replicas=count)
        told.tell("watch", "HorizontalPodAutoscaler/shop/web", what, at=at, current=count)
        told.tell("watch", "ReplicaSet/shop/web-1", what, at=at, failure="quota")
    facts = told.facts()
    assert [deployed_tag(facts, at_s) for at_s in (0.9, 1.0, 9.0)] == ["", "2", "2"]
    assert [seen.wanted for seen in replicas_seen(facts, since_s=0, until_s=9)] == [2]
    assert [seen.current for seen in scalers_seen(facts, since_s=0, until_s=9)] == [2]
    assert failing_replicasets(facts, "quota") == []


def test_another_deployments_tags_are_not_the_apps() -> None:
    told = Story().tell("watch", "Deployment/shop/other", "modified", at=1, image="web:9")
    told.tell("watch", "Deployment/shop/web", "modified", at=2, image="web:1")
    assert deployed_tags(told.facts(), since_s=0.0, until_s=9.0) == {"1"}
    assert deployed_tag(told.facts(), 9.0) == "1"


@pytest.mark.parametrize(
    ("data", "use", "tolerance", "above"),
    [
        ({}, None, 0.1, False),
        ({"use": 1.1}, 1.1, 0.1, False),
        ({"use": 1.11}, 1.11, 0.1, True),
        ({"use": 1.0, "tolerance": 0.0}, 1.0, 0.0, False),
        ({"use": 1.01, "tolerance": 0.0}, 1.01, 0.0, True),
        ({"use": 1.2, "tolerance": 0.5}, 1.2, 0.5, False),
        ({"use": None, "tolerance": None}, None, 0.1, False),
    ],
)
def test_an_autoscalers_use(data: dict[str, Any], use: float | None, tolerance: float, above: bool) -> None:
    told = Story().tell("watch", "HorizontalPodAutoscaler/shop/web", "added", at=1, **data)
    (seen,) = scalers_seen(told.facts(), since_s=0, until_s=9)
    assert (seen.use, seen.tolerance, seen.is_above) == (use, tolerance, above)
    assert (seen.up_window_s, seen.current, seen.reason, seen.floor, seen.ceiling) == (0.0, 0, "", 0, 0)


@pytest.mark.parametrize(
    ("word", "data", "sentence"),
    [
        ("before", {"missing": "a pod"}, "was not there before the drill, within 2.5 s: a pod"),
        ("after", {}, "did not come back after the drill, within 2.5 s: nobody noted what"),
        ("meanwhile", {"missing": ""}, "meanwhile, within 2.5 s: nobody noted what"),
    ],
)
def test_why_a_gate_is_closed(word: str, data: dict[str, Any], sentence: str) -> None:
    (gate,) = Story().tell("run", "gate", word, at=4.5, start=2, outcome=Outcome.FAIL, **data).events
    assert why_closed(gate) == f"the steady state {sentence}"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("ImagePullBackOff", "IMAGE_PULL_BACK_OFF"),
        ("ErrImagePull", "IMAGE_PULL_BACK_OFF"),
        ("CrashLoopBackOff", "CRASH_LOOP_BACK_OFF"),
        ("CreateContainerConfigError", "CREATE_CONTAINER_CONFIG_ERROR"),
        ("ContainerCreating", ""),
        ("PodInitializing", ""),
        ("DeadlineExceeded", ""),  # the rollout's, and no container's
        ("", ""),
    ],
)
def test_why_a_container_cannot_start(reason: str, code: str) -> None:
    assert cannot_start(reason) == code


# ---- acts ----


@pytest.mark.parametrize(
    ("planned", "change"),
    [
        ({"object": "Deployment/web", "change": "another tag"}, "Deployment/web another tag"),
        ({"object": "Deployment/web"}, "Deployment/web"),
        ({"change": "another tag"}, "another tag"),
        ({}, ""),
        (None, ""),
    ],
)
def test_what_was_planned_in_words(planned: dict[str, Any] | None, change: str) -> None:
    drift, fault = Story().tell("drift", "Drift/x", "before", at=1), Story().tell("fault", "Fault/x", "void", at=1)
    if planned is not None:
        drift.tell("drift", "Drift/x", "planned", at=2, **planned)
        fault.tell("fault", "Fault/x", "planned", at=2, **planned)
    assert [one.change for one in (*drift_trials(drift.facts()), *find_faults(fault.facts()))] == [change] * 2
    assert drift_trial(Story().facts(), "x").change == ""


@pytest.mark.parametrize(
    ("data", "version"),
    [
        ({"field": "containers[0].image", "to": "web:2"}, "2"),
        ({"field": "containers[0].image"}, ""),
        ({"field": "spec.replicas", "to": "web:2"}, ""),
        ({"to": "web:2"}, ""),
        ({}, ""),
    ],
)
def test_the_version_that_a_drift_brings(data: dict[str, Any], version: str) -> None:
    told = Story().tell("drift", "Drift/x", "injected", at=1, **data)
    assert [trial.version for trial in drift_trials(told.facts())] == [version]


def test_a_rise_of_load_brings_no_version() -> None:
    (found,) = find_scalings(Story().tell("scaling", "Scaling/web", "planned", at=1).facts())
    assert (found.version, found.path, found.sent, found.plan) == ("", "", None, None)
    (unplanned,) = find_scalings(Story().tell("scaling", "Scaling/web", "raised", at=1).facts())
    assert (unplanned.path, unplanned.sent, unplanned.plan) == ("", None, None)


@pytest.mark.parametrize("subject", ["HorizontalPodAutoscaler/shop/web", "Deployment/shop/web", "Deployment/shop/a"])
@pytest.mark.parametrize(("at", "meanwhile"), [(9.9, False), (10.0, True), (20.0, True), (20.1, False)])
def test_a_deletion_at_either_end_of_a_stretch_is_in_it(subject: str, at: float, meanwhile: bool) -> None:
    told = Story().tell("watch", subject, "deleted", at=at)
    found = deleted_meanwhile(told.facts(), since_s=10.0, until_s=20.0)
    assert found is (told.events[0] if meanwhile and not subject.endswith("/a") else None)


@pytest.mark.parametrize("word", [ScalingWord.SCALED_UP, ScalingWord.READY, ScalingWord.FLOOR])
@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_of_a_rise_only_what_went_well_is_sure(word: ScalingWord, outcome: Outcome | None) -> None:
    told = Story().tell("scaling", "Scaling/web", "raised", at=1, start=0)
    if outcome is not None:
        told.tell("scaling", "Scaling/web", word, at=9, outcome=outcome)
    (found,) = find_scalings(told.facts())
    sure = told.events[-1] if outcome is Outcome.OK else None
    assert found.sure(word) is sure
    assert found.after_s(1.0, word) == (8.0 if sure else None)
    assert found.after_s(None, word) is None
    assert found.happened is (sure if word is ScalingWord.SCALED_UP else None)
    assert found.over_s == (9.0 if sure and word is ScalingWord.FLOOR else None)


def fault(*words: tuple[FaultWord, float], held: bool = False) -> Fault:
    told = Story().tell("fault", "Fault/x", FaultWord.PLANNED, at=90, held=held)
    told.tell("fault", "Fault/x", FaultWord.INJECTING, at=100)
    for word, at in words:
        told.tell("fault", "Fault/x", word, at=at, outcome=Outcome.FAIL)
    (found,) = find_faults(told.facts())
    return found


IN_VAIN, UNDONE = (FaultWord.NOT_RECOVERED, 180.0), (FaultWord.UNDONE, 130.0)


@pytest.mark.parametrize(
    ("found", "waited_s"),
    [
        (fault(), 0.0),
        (fault(IN_VAIN), 80.0),
        (fault(UNDONE, IN_VAIN), 80.0),
        (fault(IN_VAIN, held=True), 0.0),
        (fault(UNDONE, IN_VAIN, held=True), 50.0),
        (fault((FaultWord.NO_EFFECT, 110.0)), 10.0),
        (fault(UNDONE, (FaultWord.NO_EFFECT, 110.0), held=True), 10.0),
        (fault(UNDONE, held=True), 0.0),
    ],
)
def test_how_long_a_fault_was_watched_in_vain(found: Fault, waited_s: float) -> None:
    assert found.watched_in_vain_s == waited_s


@pytest.mark.parametrize(
    ("data", "margin_s"), [({"margin_s": 2}, 2.0), ({"margin_s": -0.5}, -0.5), ({"margin_s": None}, None), ({}, None)]
)
def test_the_margin_of_a_loss_with_a_notice(data: dict[str, Any], margin_s: float | None) -> None:
    told = Story().tell("fault", "Fault/x", "planned", at=1).tell("fault", "Fault/x", "injected", at=2, **data)
    assert [one.margin_s for one in find_faults(told.facts())] == [margin_s]
    assert Fault("Fault/x", {}).margin_s is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, f"the bad release of {NEW} ({kind})") for kind in BadKind),
        (None, f"the bad release of {NEW} (of an unknown kind)"),
    ],
)
def test_a_bad_release_for_people(kind: BadKind | None, name: str) -> None:
    rollout = find_rollout(Story().release_started().facts())
    assert rollout is not None
    assert BadRelease(kind, rollout, None).name == name


# ---- what others made ----


@pytest.mark.parametrize(
    ("value", "spelled", "said"),
    [
        ("ok", "ok", True),
        ("ok", "bad", False),
        (True, "true", True),
        (True, "True", True),
        (True, "False", False),
        (True, "1", False),
        (False, "false", True),
        (False, "False", True),
        (None, "null", True),
        (None, "None", True),
        (None, "", False),
        (1, "1", True),
        (1, "True", False),
        (1, "2", False),
        ("True", "true", False),
        ([1], "[1]", True),
    ],
)
def test_whether_a_value_is_the_one_that_was_asked_for(value: object, spelled: str, said: bool) -> None:
    assert says(value, spelled) is said


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"file": "podlog-web.log"}, "podlog-web.log"),
        ({"file": "podevents-1.txt"}, "podevents-1.txt"),
        ({"file": "../podlog-web.log"}, ""),
        ({"file": "podlog-web.log\n"}, ""),
        ({"file": None}, ""),
        ({}, ""),
    ],
)
def test_the_file_that_a_fact_names(data: dict[str, Any], name: str) -> None:
    assert file_of(Event(1, 0, 0, "", "", "kept", "Pod/a", "log", Outcome.OK, data)) == name


def test_settings_of_a_load_come_back_as_they_were() -> None:
    lanes = (Lane(name="get", url="http://127.0.0.1:1/a", share=3), Lane(name="slow", url="http://127.0.0.1:1/b"))
    asked = {"rate_per_s": 10.0, "timeout_s": 2.0, "max_duration_s": 60.0, "record": "/x"}
    for tls in (Tls(), Tls(ca_file="/ca", client_cert_file="/cert", client_key_file="/key")):
        settings = Settings(lanes=lanes, tls=tls, headers={"a": "b"}, control="get", **asked)  # type: ignore[arg-type]
        assert Settings.from_json(json.loads(json.dumps(settings.as_json()))) == settings
    assert Settings.from_json({"lanes": [], **asked}).tls == Tls()
    with pytest.raises(TypeError):
        Settings.from_json({"lanes": [], "misspelt": 1, **asked})


def test_a_column_that_an_old_log_lacks_says_that_nothing_was_idle_or_stale() -> None:
    assert OPTIONAL == {"stale": False, "idle_ms": 0.0, "connection_requests": 0}
    assert LAYOUT == (1, 0)  # of every log that was written: with a higher major older versions refuse it


BESIDE, OFF = "http://127.0.0.1:2/x", "http://127.0.0.1:3/y"


@pytest.mark.parametrize(
    ("control", "off"),
    [
        (None, None),
        (Control(url="http://127.0.0.1:1/x"), None),  # the app's own entry
        (Control(url=BESIDE), Control(url=BESIDE)),
        (Control(url=BESIDE, off_entry_url=OFF, off_entry_host="h"), Control(url=OFF, host="h")),
        (Control(url="http://127.0.0.1:1/x", off_entry_url=OFF), Control(url=OFF)),
    ],
)
def test_the_control_lane_where_a_drill_breaks_the_entry(control: Control | None, off: Control | None) -> None:
    asked = target(app=App(base_url="http://127.0.0.1:1"), control=control)
    assert asked.control_off_entry == off
    assert asked.control_beside(entry_breaks=True) == (off or control)
    assert asked.control_beside(entry_breaks=False) == control


@pytest.mark.parametrize(
    ("word", "outcome", "readable", "compared"),
    [
        ("searched", Outcome.OK, True, False),
        ("searched", Outcome.FAIL, False, False),
        ("searched", Outcome.UNKNOWN, False, False),
        ("compared", Outcome.OK, False, True),
        ("compared", Outcome.FAIL, False, False),
        ("unreadable", Outcome.OK, False, False),
    ],
)
def test_a_place_was_searched_only_where_word_and_outcome_say_it(
    word: str, outcome: Outcome, readable: bool, compared: bool
) -> None:
    search = search_of(Story().tell("secrets", "Secrets/git", word, at=1, outcome=outcome).facts(), "git")
    assert search is not None
    assert (search.readable, search.compared) == (readable, compared)


@pytest.mark.parametrize("said", [{}, {"reason": None}, {"reason": ""}], ids=str)
def test_where_no_reason_was_noted_it_is_not_called_none(said: dict[str, None]) -> None:
    told = (
        Story()
        .tell("fault", "Fault/x", "skipped", at=1, **said)
        .tell("secrets", "Secrets/git", "unreadable", at=1, **said)
    )
    facts = told.tell("watch", "Watch/Pod", "gap", at=1, lost=True, **said).facts()
    search = search_of(facts, "git")
    assert search is not None
    (found,), (gap,) = find_faults(facts), watch_gaps(facts)
    assert [reason(facts.events[0]), found.reason("skipped"), gap.reason, search.reason] == ["no reason"] * 4
    assert [reason(None), found.reason("void"), reason(None, otherwise="x")] == ["no reason", "no reason", "x"]

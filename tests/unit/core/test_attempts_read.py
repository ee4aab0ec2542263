"""Each answer of a drift, a fault and a rise of load: with its field, and of a fact that has none."""

from __future__ import annotations

from typing import Any

import pytest
from story import Story

from rollproof.core.drift import ArgoState, Before, DriftTrial, Restored, argo_version, drift_trials
from rollproof.core.event import Outcome
from rollproof.core.fault import Fault, find_faults
from rollproof.core.scaling import Scaling, ScalingPlan, ScalingWord, Sent, find_scalings

NOTHING = ArgoState(attempts=None, operation_revision="", started_at="", automated=False, initiated_by="")
SAID: dict[str, Any] = {
    "attempts": 3, "operation_revision": "r", "started_at": "10:00", "automated": True, "initiated_by": "somebody",
}  # fmt: skip


def drift(**words: dict[str, Any]) -> DriftTrial:
    told = Story().tell("drift", "Drift/x", "planned", at=1)
    for at, (word, data) in enumerate(words.items(), 2):
        told.tell("drift", "Drift/x", word.replace("_", "-"), at=at, start=at - 0.5, **data)
    (trial,) = drift_trials(told.facts())
    return trial


def test_the_last_look_before_a_drift() -> None:
    assert drift().before is None
    bare = drift(before={})
    assert bare.before == Before(
        event=bare.said["before"], state=NOTHING, sync_revision="", fair=False,
        why_unfair="its preconditions did not hold", window_denied=False, gap_s=None, remaining_s=0.0, quiet_s=0.0,
    )  # fmt: skip
    more = {"sync_revision": "s", "fair": True, "why_unfair": "why", "window_denied": True, "gap_s": 6.0}
    full = drift(before={**SAID, **more, "remaining_s": 4, "quiet_s": 2})
    assert full.before == Before(
        event=full.said["before"], state=ArgoState(**SAID), **more, remaining_s=4.0, quiet_s=2.0  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("trial", "word", "begun"),
    [
        (drift(before={}, injected={}), "before", True),
        (drift(injected={}), "injected", True),
        (drift(before={"fair": True}), "before", False),
        (drift(before={"fair": True}, error={}), "before", True),
        (drift(before={"fair": False}, error={}), "before", False),
    ],
)
def test_where_a_drift_begins(trial: DriftTrial, word: str, begun: bool) -> None:
    assert (trial.started.what, trial.begun) == (word, begun)
    assert trial.happened is trial.said.get("injected")


def test_after_a_drift() -> None:
    assert (drift().after, drift(after={}).after, drift(after=SAID).after) == (None, NOTHING, ArgoState(**SAID))
    assert drift().restored is None
    assert drift(restored={}).restored == Restored("", None, True)
    assert drift(restored={"manager": "m", "value": 2, "complete": False}).restored == Restored("m", 2, False)
    assert (drift().over_s, drift(undone={}).over_s) == (None, 2.0)


def test_a_drift_that_nobody_healed() -> None:
    assert (drift().stayed, drift().not_healed) == (None, None)
    for trial, asked in ((drift(stayed={}), "stayed"), (drift(not_healed={}), "not_healed")):
        looked = getattr(trial, asked)
        assert (looked.watched_s, looked.stage, looked.checked) == (0.0, "unknown stage", {})
    looked = drift(not_healed={"waited_s": 9, "watched_s": 1, "stage": "not-synced", "checked": {"a": None}}).not_healed
    assert looked is not None
    assert (looked.watched_s, looked.stage, looked.checked) == (9.0, "not-synced", {"a": None})
    stayed = drift(stayed={"waited_s": 9, "watched_s": 1}).stayed
    assert stayed is not None
    assert stayed.watched_s == 1.0


@pytest.mark.parametrize(
    ("data", "by"),
    [({}, None), ({"manager": "m"}, None), ({"restored": True}, ""), ({"restored": True, "manager": "m"}, "m")],
)
def test_who_healed_a_drift_after_a_refresh(data: dict[str, Any], by: str | None) -> None:
    assert drift(refreshed=data).healed_by_refresh == by
    assert drift().healed_by_refresh is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "somebody else changed the same field during the trial (nobody said who): None"),
        (
            {"after_restored": True, "manager": "kubectl", "value": 3},
            "somebody else changed the same field after it was restored (kubectl): 3",
        ),
    ],
)
def test_who_interfered_with_a_drift(data: dict[str, Any], words: str) -> None:
    assert drift(interfered=data).why_interfered() == words


def test_sentences_of_a_drift() -> None:
    trial = drift(injected={}, interfered={})
    assert (trial.name, trial.over_means) == ("the drift x", "the drift x was undone")
    assert trial.why_void() == "the drift x is not known to have changed anything (only 'interfered')"
    assert trial.why_not_over() == "the drift x was not seen to be undone (the last that is known is 'interfered')"
    failed = "the drift x is not known to have changed anything (the harness failed: why)"
    assert drift(error={"reason": "why"}).why_void() == failed
    assert (trial.since_injected_s("interfered"), trial.since_injected_s("restored")) == (1.0, None)


@pytest.mark.parametrize(
    ("data", "deleted", "control"),
    [
        ({}, False, False),
        ({"deleted": 1, "kind": "drift"}, False, False),
        ({"deleted": True, "kind": "control"}, True, True),
    ],
)
def test_what_kind_of_drift(data: dict[str, Any], deleted: bool, control: bool) -> None:
    trial = drift(planned=data, injected=data)
    assert (trial.deleted, trial.control) == (deleted, control)


def test_argo_cds_version() -> None:
    assert argo_version(Story().facts()) is None
    assert argo_version(Story().tell("drift", "Drift", "model", at=1).facts()) == ""
    assert argo_version(Story().tell("drift", "Drift", "model", at=1, version="v3").facts()) == "v3"


# ---- faults ----


def fault(outcome: Outcome = Outcome.OK, **words: dict[str, Any]) -> Fault:
    told = Story().tell("fault", "Fault/x", "planned", at=1, **words.pop("planned", {}))
    for at, (word, data) in enumerate(words.items(), 2):
        told.tell("fault", "Fault/x", word.replace("_", "-"), at=at, outcome=outcome, **data)
    (found,) = find_faults(told.facts())
    return found


def test_a_fault_of_which_nothing_is_known() -> None:
    for none in (
        Fault("Fault/x", {}),
        fault(),
        fault(injecting={}, effect={}, recovered={}, not_recovered={}, undone={}),
    ):
        assert (none.change, none.limit_s, none.effect_within_s, none.version, none.held) == ("", None, None, "", False)
        assert (none.victims, none.felt_by, none.margin_s) == (frozenset(), frozenset(), None)
        assert (none.last_seen, none.cause, none.repaired_by, none.undone_by) == ("", "", "", "")
    assert fault(injecting={}, effect={}).watched == "its effect"
    assert (fault().watched, fault().effect_s, fault().recovery_s, fault().over_s) == ("", None, None, None)
    assert not fault().recovered_unfelt


def test_a_fault_of_which_all_is_known() -> None:
    planned = {"limit_s": 60, "effect_within_s": 10, "version": "v", "held": True}
    told = fault(
        planned=planned, injecting={}, injected={"margin_s": 3}, effect={"watched": "w", "pods": ["u"]},
        undone={"by": "harness"}, not_recovered={"last_seen": "s", "cause": "c", "by": "kubelet"},
    )  # fmt: skip
    assert (told.limit_s, told.effect_within_s, told.version, told.held) == (60.0, 10.0, "v", True)
    assert (told.victims, told.felt_by, told.watched, told.margin_s) == (frozenset("u"), frozenset("u"), "w", 3.0)
    assert (told.last_seen, told.cause, told.repaired_by, told.undone_by) == ("s", "c", "kubelet", "harness")
    assert (told.effect_s, told.recovery_s, told.watched_in_vain_s) == (2.0, None, 1.0)
    assert fault(planned=planned).version == "", "it was not begun"
    back = fault(injecting={}, effect={}, recovered={"by": "a"}, not_recovered={"by": "b"})
    assert (back.repaired_by, back.recovery_s, back.over_s) == ("a", 2.0, 5.0)
    held = fault(planned=planned, injecting={}, effect={}, undone={}, recovered={})
    assert held.recovery_s == 1.0
    assert fault(injecting={}, recovered={}, effect={}).recovered_unfelt


@pytest.mark.parametrize(("effect_at", "felt"), [(99.999, False), (100.0, True), (100.001, True)])
def test_what_was_seen_before_the_start_is_no_effect(effect_at: float, felt: bool) -> None:
    told = Story().tell("fault", "Fault/x", "injecting", at=100).tell("fault", "Fault/x", "effect", at=effect_at)
    (found,) = find_faults(told.facts())
    assert (found.happened is not None) is felt
    assert found.effect_s == (pytest.approx(effect_at - 100) if felt else None)


@pytest.mark.parametrize(("back_at", "unfelt"), [(101.999, True), (102.0, False), (102.001, False)])
def test_all_was_well_before_the_effect_and_not_since(back_at: float, unfelt: bool) -> None:
    told = Story().tell("fault", "Fault/x", "injecting", at=100).tell("fault", "Fault/x", "effect", at=102)
    (found,) = find_faults(told.tell("fault", "Fault/x", "recovered", at=back_at).facts())
    assert found.recovered_unfelt is unfelt


BROKEN_OFF = {"error": "the harness could not do it: e", "void": "void: v", "aborted": "it was ended at once: a"}


@pytest.mark.parametrize("first", range(len(BROKEN_OFF)))
def test_why_a_fault_was_broken_off(first: int) -> None:
    """Of several reasons the first of that order is told."""
    words = list(BROKEN_OFF)[first:]
    found = fault(injecting={}, **{word: {"reason": word[0]} for word in reversed(words)})
    assert found.broken_off == found.why_unfinished() == BROKEN_OFF[words[0]]


def test_why_a_fault_is_unfinished() -> None:
    assert fault(injecting={}).broken_off == ""
    assert fault(injecting={}).why_unfinished() == "the last that is known is 'injecting'"
    for waited in ({"no_effect": {}}, {"not_recovered": {}}):
        found = fault(injecting={}, **waited)
        assert found.why_unfinished() == "watched for 1.0 s"
        assert found.why_void() == "the fault x had no effect that anybody saw (watched for 1.0 s)"
        assert found.why_not_over() == "the target was not seen to recover from the fault x (watched for 1.0 s)"


# ---- rises of load ----


def scaling(**words: dict[str, Any]) -> Scaling:
    told = Story().tell("scaling", "Scaling/web", "planned", at=1, **words.pop("planned", {}))
    for at, (word, data) in enumerate(words.items(), 2):
        told.tell("scaling", "Scaling/web", word.replace("_", "-"), at=at, start=at - 0.5, **data)
    (found,) = find_scalings(told.facts())
    return found


def test_a_rise_of_load() -> None:
    limits = {"floor": 3, "window_s": 30, "ready_within_s": 60.0}
    found = scaling(planned={"path": "/p", **limits}, raised={}, scaled_up={}, lowered={}, floor={})
    assert (found.path, found.plan, found.begun) == ("/p", ScalingPlan(3, 30.0, 60.0), True)
    assert found.started.what == "raised"
    assert all(scaling(planned={**limits, name: None}).plan is None for name in limits)
    assert (found.happened, found.over_s, found.load_over_s) == (found.said[ScalingWord.SCALED_UP], 5.0, 3.5)
    assert (found.after_s(1.0, ScalingWord.FLOOR), found.after_s(None, ScalingWord.FLOOR)) == (4.0, None)
    assert found.after_s(1.0, ScalingWord.READY) is None
    assert found.sent == Sent(requests=0, failures=0, rate_per_s=0.0, outcomes={})
    counts = {"requests": 9, "failures": 2, "rate_per_s": 3, "outcomes": {"http.502": 2}}
    assert scaling(lowered=counts).sent == Sent(**{**counts, "rate_per_s": 3.0})
    assert (scaling().begun, scaling(scaled_up={}).happened, scaling().over_s, scaling().load_over_s) == (
        False, None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize("data", [{}, {"last_seen": ""}, {"last_seen": "3 of 4"}])
def test_what_was_seen_last_of_a_rise(data: dict[str, Any]) -> None:
    expected = data.get("last_seen") or "nobody noted it"
    assert scaling(not_ready=data).last_seen(ScalingWord.NOT_READY) == expected
    assert scaling().last_seen(ScalingWord.NOT_READY) == "nobody noted it"


def test_sentences_of_a_rise() -> None:
    found = scaling(raised={})
    assert found.over_means == "the replicas were back where they had been"
    assert found.why_void() == (
        "the rise of load made the autoscaler add no replica that anybody saw (the last that is known is 'raised')"
    )
    assert found.why_not_over() == (
        "the replicas were not seen to come back after the rise of load (the last that is known is 'raised')"
    )

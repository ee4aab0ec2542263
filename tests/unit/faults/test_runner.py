"""The runner on a fault of the test's own: which facts it records, in which order, and what becomes of the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import story
from recorder import ListRecorder

from rollproof.clients.kube import ApiError, Kube, LostAnswerError, UnreachableError
from rollproof.core.event import Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission
from rollproof.core.target import FaultSettings, Fences, Target, UndoSettings
from rollproof.errors import AbortedError, CannotJudgeError, InputError, LockedError
from rollproof.faults import registry, runner
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void
from rollproof.faults.registry import check_names, plan_faults, undo_handlers
from rollproof.faults.runner import FaultRunner
from rollproof.preflight.planning import Found, Order, make_plan
from rollproof.probes.waiting import Changes
from rollproof.store.journal import FolderStore, Journal, Undone
from rollproof.suites import Drill


@dataclass
class Unplug(Fault):
    """Does what the test says. `back` is asked for the steady state, with the number of the look."""

    name: ClassVar[str] = "unplug"
    affects_traffic: ClassVar[bool] = True
    peers: ClassVar[str] = "nothing"
    kinds: ClassVar[frozenset[str]] = frozenset({"Pod"})

    order: list[str] = field(default_factory=list)
    old: str = ""
    answer: Injected | Void | Exception = field(default_factory=lambda: Injected({"uid": "u1"}))
    effect: Effect | None = field(default_factory=lambda: Effect("the pod is terminating", ("u1",)))
    back: Callable[[int], bool] = lambda _: True
    undone: list[Undone] = field(default_factory=list)
    looks: int = 0

    def permissions(self, target: Target) -> Iterable[Permission]:
        place = target.cluster.namespace
        return [Permission(verb=verb, resource="plugs", namespace=place, why="unplug") for verb in ("get", "delete")]

    def available(self, context: Context) -> Injection | Skip:
        if self.old:
            return context.skip(self, self.old)
        return context.injection(self, "Pod/shop/web-1", change="unplugged", undo="plugged in", args={"uid": "u1"})

    def outdated(self, injection: Injection, live: LiveContext) -> str:  # noqa: ARG002
        return self.old

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:  # noqa: ARG002
        self.order.append("inject")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | None:  # noqa: ARG002
        return self.effect

    def missing(self, injection: Injection, live: LiveContext) -> str:  # noqa: ARG002
        self.looks += 1
        return "" if self.back(self.looks) else "1 of 2 ready"

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        if not self.undone:
            return super().undo(kube, args)
        return self.undone.pop(0)


class FaultDrill:
    """The runner, and what it told."""

    def __init__(self, fault: Unplug, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "all_faults", lambda: {fault.name: fault})
        monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.01)
        self.fault, self.recorder = fault, ListRecorder()
        self.kept: list[str] = []  # what had been told last when the pods were asked what they say
        limits = FaultSettings(effect_within_s=0.05, recovery_limits_s={"unplug": 0.2})
        self.target = story.target(faults=limits, undo=UndoSettings(late_s=0.0))
        changes = Changes()

        def poll(look: Callable[[], Any], **options: Any) -> Any:
            def woken() -> Any:
                time.sleep(0.002)
                changes.wake()
                return look()

            return changes.wait(woken, **options)

        watches: Any = SimpleNamespace(poll=poll)
        self.live = LiveContext(drill="pull", target=self.target, kube=None, argo=None, watches=watches)  # type: ignore[arg-type]
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    def run(self) -> list[str]:
        made = plan_faults(["unplug"], self.live)
        plan = story.plan(
            injections=tuple(one for one in made if isinstance(one, Injection)),
            skips=tuple(one for one in made if isinstance(one, Skip)),
        )
        FaultRunner(self.live, self.recorder, self.journal, keep=lambda: self.kept.append(self._last())).run(plan)
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def _last(self) -> str:
        return str(self.recorder.events[-1].what)

    def said(self, what: str) -> Any:
        return next(event for event in self.recorder.events if event.source == "fault" and event.what == what)


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultDrill:
    return FaultDrill(Unplug(), tmp_path, monkeypatch)


def test_a_fault_that_is_felt_and_overcome(drill: FaultDrill) -> None:
    assert drill.run() == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert {event.subject for event in drill.recorder.events if event.source == "fault"} == {"Fault/unplug"}
    planned = drill.said("planned").data
    assert planned == {
        "object": "Pod/shop/web-1", "change": "unplugged", "undo": "plugged in", "affects_traffic": True,
        "limit_s": 0.2, "effect_within_s": 0.05, "held": False,
    }  # fmt: skip
    begun_s = drill.said("injecting").start_s
    assert {drill.said(what).start_s for what in ("injected", "effect", "recovered")} == {begun_s}
    assert drill.said("effect").data == {"watched": "the pod is terminating", "pods": ["u1"]}
    assert drill.said("undone").data == {"by": "platform"}
    order = [event.what for event in drill.recorder.events if event.what in ("written", "injecting")]
    assert order == ["written", "injecting"], "the journal has it before anything is asked for"
    assert drill.journal.open_entries() == []
    assert drill.kept == []


def test_the_recovery_is_when_it_came_and_must_last(drill: FaultDrill) -> None:
    times: dict[int, float] = {}
    clock = vars(runner)["time"]  # the runner's own (conftest.py)

    def back(look: int) -> bool:
        times[look] = clock.monotonic()
        return look not in (1, 3)  # well at the second look, not at the third

    drill.fault.back = back
    assert "recovered" in drill.run()
    assert drill.fault.looks >= 6, "three good looks in a row"
    assert drill.said("recovered").end_s >= times[4]


@pytest.mark.parametrize("broken", ["plan", "answer"])
def test_what_is_not_true_any_more_is_void(drill: FaultDrill, broken: str) -> None:
    if broken == "answer":
        drill.fault.answer = Void("the pod is gone")
        assert drill.run() == ["planned", "injecting", "void"]
        (entry,) = drill.journal.record.entries
        assert (entry.state, entry.made) == ("not-needed", False)
    else:
        made = plan_faults(["unplug"], drill.live)
        drill.fault.old = "the pod is gone"
        plan = story.plan(injections=made)
        FaultRunner(drill.live, drill.recorder, drill.journal).run(plan)
        assert [event.what for event in drill.recorder.events] == ["planned", "void"]
        assert drill.fault.order == []
    assert "the pod is gone" in drill.said("void").data["reason"]


def test_what_nobody_saw_had_no_effect_and_no_recovery(drill: FaultDrill) -> None:
    drill.fault.effect = None
    assert drill.run() == ["planned", "injecting", "injected", "no-effect"]
    assert drill.said("no-effect").outcome is Outcome.UNKNOWN
    assert drill.said("no-effect").data["waited_s"] >= 0.05
    assert drill.fault.looks == 0
    assert drill.journal.open_entries() == []


def test_a_recovery_that_does_not_come_is_a_failure(drill: FaultDrill) -> None:
    drill.fault.back = lambda _: False
    assert drill.run() == ["planned", "injecting", "injected", "effect", "not-recovered"]
    event = drill.said("not-recovered")
    assert drill.kept == ["not-recovered"]
    assert event.outcome is Outcome.FAIL
    assert event.data["last_seen"] == "1 of 2 ready"
    assert event.data["waited_s"] >= 0.2


def test_what_was_put_back_is_looked_at_again(drill: FaultDrill) -> None:
    drill.fault.undone = [Undone("done"), Undone("not-needed")]
    assert drill.run()[-1] == "undone"
    assert drill.said("undone").data == {"by": "harness"}


def test_what_was_put_back_and_did_not_stay_is_an_error(drill: FaultDrill) -> None:
    drill.fault.undone = [Undone("done"), Undone("left", reason="it has another value")]
    assert drill.run()[-1] == "error"
    assert "is not as before: it has another value" in drill.said("error").data["reason"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (LostAnswerError("no answer"), "open"),  # the end of the run looks again
        (UnreachableError("no way there"), "open"),
        (ApiError("no", status=403, reason="Forbidden"), "not-needed"),
        (ApiError("oh", status=500, reason="Oops"), "open"),
    ],
)
def test_an_answer_that_is_no_yes_is_an_error_of_unknown_outcome(
    drill: FaultDrill, error: Exception, state: str
) -> None:
    drill.fault.answer = error
    assert drill.run() == ["planned", "injecting", "error"]
    assert drill.said("error").outcome is Outcome.UNKNOWN
    (entry,) = drill.journal.record.entries
    assert entry.state == state
    assert bool(entry.gave_up_s) is not isinstance(error, ApiError)


def test_nothing_is_done_once_the_lock_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = FaultDrill(Unplug(), tmp_path, monkeypatch)

    def lost() -> None:
        raise LockedError("another run may be at work")

    drill.journal = Journal(FolderStore(tmp_path / "undo.jsonl"), drill.recorder, allowed=lost)
    assert drill.run() == ["error"]
    assert drill.fault.order == []


def test_what_a_target_cannot_have_is_skipped_with_the_reason(drill: FaultDrill) -> None:
    drill.fault.old = "it has one replica"
    assert drill.run() == ["skipped"]
    assert drill.said("skipped").data == {"reason": "it has one replica"}


# -- the plan -----------------------------------------------------------------------------------------------------


def table(*faults: str) -> dict[str, Drill]:
    return {"pull": Drill(name="pull", faults=faults)}


def planned(drill: FaultDrill, target: Target | None = None) -> Any:
    live = replace(drill.live, target=target or drill.target)
    found = Found(running_sha=story.OLD, env_repo_head="0" * 40, faults=plan_faults(["unplug"], live))
    return make_plan(Order(drills=("pull",), table=table("unplug")), live.target, found, run_id="run")


def test_the_plan_carries_the_injection_and_its_line(drill: FaultDrill) -> None:
    plan = planned(drill)
    (injection,) = plan.injections
    assert (injection.fault, injection.drill, injection.limit_s) == ("unplug", "pull", 0.2)
    line, renewal = plan.touches[-2:]
    assert (line.drill, line.subject, line.change, line.undo) == ("pull", "Pod/shop/web-1", "unplugged", "plugged in")
    assert renewal.change == "one that still does not serve when its fault is over: deleted gracefully"


def test_a_plan_says_that_pods_stay_where_the_target_keeps_them(drill: FaultDrill) -> None:
    kept = replace(drill.target, faults=replace(drill.target.faults, renew_pods=False))
    assert planned(drill, kept).touches[-1].subject == "Pod/shop/web-1"


def test_on_production_a_fault_that_is_felt_is_skipped(drill: FaultDrill) -> None:
    plan = planned(drill, replace(drill.target, fences=Fences(namespaces=("shop",), production=True)))
    assert plan.injections == ()
    assert "--i-mean-production" in plan.skips[0].reason
    assert plan.touches[-1].change.startswith("skipped: ")


def test_a_limit_for_no_fault_names_the_nearest(drill: FaultDrill) -> None:
    limits = FaultSettings(recovery_limits_s={"unplugg": 3.0})
    with pytest.raises(InputError, match=r"faults\.recovery_limits_s: there is no fault 'unplugg'") as refused:
        check_names(replace(drill.target, faults=limits))
    assert refused.value.hint == "did you mean 'unplug'?"
    check_names(drill.target)


def test_a_journal_entry_is_undone_by_the_fault_of_its_kind(drill: FaultDrill) -> None:
    drill.fault.undone = [Undone("done")]
    handlers = undo_handlers(None, drill.target)  # type: ignore[arg-type]
    assert handlers["unplug"]({}).how == "done"
    assert handlers["unplug"]({}).how == "not-needed", "by itself a fault has nothing to put back"


def test_an_error_of_the_first_look_is_no_skip(drill: FaultDrill, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(_: Context) -> Injection:
        raise CannotJudgeError("the API is away")

    monkeypatch.setattr(drill.fault, "available", raising)
    with pytest.raises(CannotJudgeError):
        drill.run()


class TestAfterOtherDrills:
    """What the plan names may be gone by then: the fault is planned anew when its turn comes."""

    def planned_again(self, drill: FaultDrill, found: Injection | Skip | Exception) -> list[str]:
        def again(name: str) -> Injection | Skip:
            assert name == "unplug"
            if isinstance(found, Exception):
                raise found
            return found

        (made,) = plan_faults(["unplug"], drill.live)
        assert isinstance(made, Injection)
        plan = story.plan(injections=(made,))
        FaultRunner(drill.live, drill.recorder, drill.journal, plan_again=again).run(plan)
        return [event.what for event in drill.recorder.events if event.source == "fault"]

    def test_what_is_there_now_is_what_is_told_and_done(self, drill: FaultDrill) -> None:
        (made,) = plan_faults(["unplug"], drill.live)
        assert isinstance(made, Injection)
        told = self.planned_again(drill, replace(made, subject="Pod/shop/web-7", args={"uid": "u7"}))
        assert told == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
        assert drill.said("planned").data["object"] == "Pod/shop/web-7"
        (entry,) = drill.journal.record.entries
        assert (entry.subject, entry.args) == ("Pod/shop/web-7", {"uid": "u7"})

    def test_what_the_target_cannot_have_any_more_is_skipped(self, drill: FaultDrill) -> None:
        assert self.planned_again(drill, Skip(fault="unplug", drill="pull", reason="1 replica")) == ["skipped"]
        assert drill.fault.order == []

    def test_what_cannot_be_planned_is_an_error(self, drill: FaultDrill) -> None:
        assert self.planned_again(drill, CannotJudgeError("no answer")) == ["error"]
        assert drill.fault.order == []


class TestAbort:
    """The traffic loses too much: whoever waits is interrupted, the fault ends at once and is undone."""

    @staticmethod
    def interrupt(drill: FaultDrill, when: str) -> None:
        def answer(*_: Any) -> Any:
            raise AbortedError("2,001 requests were lost, 2,000 are allowed")

        setattr(drill.fault, when, answer)

    @pytest.mark.parametrize(
        ("when", "told"),
        [
            ("evidence", ["planned", "injecting", "injected", "effect", "aborted", "undone"]),
            ("missing", ["planned", "injecting", "injected", "effect", "aborted", "undone"]),
        ],
    )
    def test_it_is_undone_at_once(self, drill: FaultDrill, when: str, told: list[str]) -> None:
        drill.fault.undone = [Undone("done"), Undone("not-needed")]
        self.interrupt(drill, when)
        assert drill.run() == told
        event = drill.said("aborted")
        assert (event.outcome, event.data["reason"]) == (
            Outcome.UNKNOWN, "2,001 requests were lost, 2,000 are allowed",
        )  # fmt: skip
        assert drill.journal.open_entries() == []
        assert drill.kept == ["undone"], "nobody waits for it who is without an answer"

    def test_the_next_fault_of_the_drill_is_not_begun(self, drill: FaultDrill) -> None:
        self.interrupt(drill, "evidence")
        made = plan_faults(["unplug"], drill.live)
        FaultRunner(drill.live, drill.recorder, drill.journal).run(story.plan(injections=made * 2))
        assert drill.fault.order == ["inject"]
        assert "the drill was ended: 2,001 requests" in drill.said("void").data["reason"]

    def test_for_how_long_an_outage_is_by_design(self, drill: FaultDrill, monkeypatch: pytest.MonkeyPatch) -> None:
        """0.05 s until it is felt, 0.2 s until it is recovered, and what it is held for."""
        told: list[tuple[float, float, str]] = []
        plan = story.plan(injections=plan_faults(["unplug"], drill.live))
        for by_design in (False, True):
            monkeypatch.setattr(Unplug, "outage_by_design", by_design)
            monkeypatch.setattr(Unplug, "loss_by_design", by_design)
            FaultRunner(
                drill.live, drill.recorder, drill.journal, expect_outage=lambda *all_three: told.append(all_three)
            ).run(plan)  # fmt: skip
        assert told == [(0.0, 0.0, ""), (0.25, 60.0, "")]  # faults.node_loss_budget_s

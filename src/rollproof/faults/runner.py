"""Runner: injects what the plan says, and records what came of it (docs/facts.md). It must never judge.

For each injection: is the lock ours · arm its dead-man · is the plan still true · journal · inject · wait for the
evidence of an effect · wait for the recovery · undo · look whether it is undone · end the dead-man. A held fault
is undone before the recovery. An effect that nobody saw is no test of anything, and its recovery is not waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from rollproof.core.event import Event, Outcome, Recorder
from rollproof.core.fault import SOURCE, FaultWord, loss_budget_s, subject_of
from rollproof.core.injection import Injection, Skip
from rollproof.core.plan import Plan
from rollproof.core.reasons import UndoneBy
from rollproof.errors import AbortedError, CannotJudgeError, RollproofError
from rollproof.faults.base import Fault, LiveContext, Void
from rollproof.faults.registry import fault_named, undo_handlers
from rollproof.faults.sending import sending
from rollproof.probes.scheduling import quick
from rollproof.probes.waiting import Between
from rollproof.store.journal import DEAD_MAN, Entry, Handler, Journal, Undone, replay

__all__ = ["FaultRunner"]

_APART_S = 1.0  # between two looks (`Fault.steady_looks`)
_SURELY_S = 0.01  # the last look at a recovery begins so much after its limit, whatever is rounded


def _outage_s(fault: Fault, injection: Injection, hold_s: float) -> float:
    """For how long everything may be lost, where that is what the fault does: until its own limits are over."""
    if not fault.outage_by_design:
        return 0.0
    return injection.effect_within_s + injection.limit_s + (hold_s if fault.held else 0.0)


def _brought(fault: Fault, injection: Injection) -> dict[str, str]:
    """For the fact `planned`, only where it brings one."""
    version = fault.brings(injection)
    return {"version": version} if version else {}


class FaultRunner:
    """Runs the injections of one drill, one at a time; `status` is told what is being waited for.

    `expect_outage` is told for how long (seconds) all traffic, and some of it, may be lost by design, and which node.
    `plan_again` says what a fault would do now, where drills before this one have changed what the plan has seen.
    `keep` reads what pods say that did not come back (`probes.keeping`). `while_held` is called once a fault that is
    held was felt, before its hold begins.
    """

    def __init__(
        self, live: LiveContext, recorder: Recorder, journal: Journal, *,
        status: Callable[[str], None] = lambda _: None,
        plan_again: Callable[[str], Injection | Skip] | None = None,
        expect_outage: Callable[[float, float, str], None] = lambda *_: None,
        keep: Callable[[], None] = lambda: None, while_held: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._live = live
        self._recorder = recorder
        self._journal = journal
        self._status = status
        self._plan_again = plan_again
        self._run_id = ""
        self._expect_outage, self._keep, self._while_held = expect_outage, keep, while_held
        self._aborted = ""  # why the drill was ended at once

    def run(self, plan: Plan) -> None:
        """All that the plan has for this drill but its drifts; what it has skipped is said again, with its reason."""
        self._run_id = plan.run_id
        for skip in plan.skips:
            if skip.drill == self._live.drill and isinstance(fault_named(skip.fault), Fault):
                self._tell(skip.fault, FaultWord.SKIPPED, {"reason": skip.reason})
        for injection in plan.injections:
            fault = fault_named(injection.fault)
            if injection.drill == self._live.drill and isinstance(fault, Fault):
                self._plan_and_run(fault, injection)

    def _plan_and_run(self, fault: Fault, injection: Injection) -> None:
        """As planned; planned anew where that was before other drills. What it does then is told as `planned`."""
        if self._aborted:
            self._tell(fault.name, FaultWord.VOID, {"reason": f"not begun, the drill was ended: {self._aborted}"})
            return
        try:
            found = injection if self._plan_again is None else self._plan_again(fault.name)
        except RollproofError as error:
            self._tell(fault.name, FaultWord.ERROR, {"reason": str(error)}, outcome=Outcome.UNKNOWN)
            return
        if isinstance(found, Skip):
            self._tell(fault.name, FaultWord.SKIPPED, {"reason": found.reason})
        else:
            self._run_one(fault, found)

    def _run_one(self, fault: Fault, injection: Injection) -> None:
        planned = {
            "object": injection.subject, "change": injection.change, "undo": injection.undo,
            "affects_traffic": injection.affects_traffic, "limit_s": injection.limit_s,
            "effect_within_s": injection.effect_within_s, "held": fault.held, **_brought(fault, injection),
        }  # fmt: skip
        try:
            self._journal.allow()
            self._tell(fault.name, FaultWord.PLANNED, planned)
            with self._watching(fault, injection), self._guarded(fault, injection) as live:
                if outdated := fault.outdated(injection, live):
                    self._tell(fault.name, FaultWord.VOID, {"reason": f"the plan is not true any more: {outdated}"})
                    return
                entry = self._journal.write(fault.name, injection.subject, injection.args)
                settings = self._live.target.faults
                loss_s = loss_budget_s(settings, fault.name) if fault.loss_by_design else 0.0
                node = injection.subject.removeprefix("Node/") if injection.subject.startswith("Node/") else ""
                self._expect_outage(_outage_s(fault, injection, settings.hold_s), loss_s, node)
                with quick():
                    self._inject(fault, injection, entry, live)
        except RollproofError as error:
            self._aborted = str(error) if isinstance(error, AbortedError) else ""
            word = FaultWord.ABORTED if self._aborted else FaultWord.ERROR
            self._tell(fault.name, word, {"reason": str(error)}, outcome=Outcome.UNKNOWN)
            # What nobody answered may still come: the end of the run looks again, when no load is waiting.
            self._undo(fault, [entry for entry in self._journal.open_entries(fault.name) if entry.made])
            if self._aborted:
                self._keep()  # after the undo: nobody waits for it who is without an answer

    def _inject(self, fault: Fault, injection: Injection, entry: Entry, live: LiveContext) -> None:
        self._status(f"fault {fault.name}: {injection.subject}")
        begun = self._tell(fault.name, FaultWord.INJECTING, {})
        with sending(self._journal, entry):
            done = fault.inject(injection, live)
        if isinstance(done, Void):
            self._journal.settle(entry, Undone("not-needed", reason=done.reason))
            self._tell(fault.name, FaultWord.VOID, {"reason": done.reason})
            return
        self._journal.made(entry)
        self._tell(fault.name, FaultWord.INJECTED, done.data, begun=begun)
        felt = self._had_effect(fault, injection, begun)
        if fault.held:
            if felt:
                felt = self._hold(fault, injection)
            taken_away = self._undo(fault, [entry])
            if felt and taken_away is not None:
                self._recovered(fault, injection, replace(taken_away, start_s=taken_away.end_s))
            return
        back = felt and self._recovered(fault, injection, begun)
        undone = self._undo(fault, [entry], by=UndoneBy.PLATFORM if back else None)
        if back and undone is not None:
            self._gone(fault, injection, undone)

    @contextmanager
    def _watching(self, fault: Fault, injection: Injection) -> Iterator[None]:
        """The fault's own objects are watched as well, inside of the block."""
        with ExitStack() as stack:
            for one in fault.watched(injection):
                kube, watches = self._live.argo.kube if one.argocd else self._live.kube, self._live.watches
                if one.autoscaler:
                    stack.enter_context(watches.autoscaler_beside(one.autoscaler))
                    continue
                beside = watches.pods_beside(kube, one.namespace, one.labels)
                stack.enter_context(watches.node_beside(kube, one.node) if one.node else beside)
            yield

    @contextmanager
    def _guarded(self, fault: Fault, injection: Injection) -> Iterator[LiveContext]:
        """What would undo it in our absence is armed inside of the block; it is ended where the fault is undone.

        Where it is not, the end of the run, or a later `rollproof undo`, ends it after the fault.
        """
        dead_man = fault.dead_man(injection.args, self._live.target)
        if dead_man is None:
            yield self._live
            return
        self._status(f"fault {fault.name}: {dead_man}")
        args = dead_man.args(dead_man.new_name(fault.name))
        entry = self._journal.write(DEAD_MAN, f"Job/{args['namespace']}/{args['name']}", args)
        try:
            with sending(self._journal, entry):
                owner = dead_man.create(self._live.kube, args["name"], self._run_id)
            self._journal.made(entry)
            dead_man.arm(self._live.kube, owner)
            yield replace(self._live, owner=owner)
        finally:
            if not self._journal.open_entries(fault.name):
                open_one = [
                    one for one in self._journal.open_entries(DEAD_MAN) if one.number == entry.number and one.made
                ]
                replay(self._journal, self._handlers(), entries=open_one)

    def _hold(self, fault: Fault, injection: Injection) -> bool:
        """Leave it in place, and ask meanwhile what must be true. Whether its effect lasted for so long."""
        hold_s = self._live.target.faults.hold_s
        self._while_held()
        self._status(f"fault {fault.name}: it is held for {hold_s:g} s")
        ended = self._live.watches.poll(lambda: fault.observe(injection, self._live), timeout_s=hold_s)
        fault.finish(injection, self._live)
        if ended is not None:
            self._tell(fault.name, FaultWord.VOID, {"reason": ended.reason})
        return ended is None

    def _had_effect(self, fault: Fault, injection: Injection, begun: Event) -> bool:
        def look() -> Any:
            return fault.evidence(injection, self._live)

        try:
            effect = self._live.watches.poll(look, timeout_s=injection.effect_within_s)
        except AbortedError as error:  # before the platform has noticed it: users felt it
            self._tell(fault.name, FaultWord.EFFECT, {"watched": str(error), "pods": []}, begun=begun)
            raise
        if effect is None:
            data = {"waited_s": self._since_s(begun)}
            self._tell(fault.name, FaultWord.NO_EFFECT, data, begun=begun, outcome=Outcome.UNKNOWN)
            return False
        if isinstance(effect, Void):
            self._tell(fault.name, FaultWord.VOID, {"reason": effect.reason}, begun=begun)
            return False
        felt: dict[str, Any] = {"watched": effect.watched, "pods": list(effect.pods), **effect.said}
        self._tell(fault.name, FaultWord.EFFECT, felt, begun=begun)
        return True

    def _recovered(self, fault: Fault, injection: Injection, begun: Event) -> bool:
        """Wait until all is as before, for its limit from `begun`. What is told has both bounds of the recovery."""
        back = Between(lambda: fault.missing(injection, self._live), since_s=begun.start_s)
        self._status(f"fault {fault.name}: the recovery, within {injection.limit_s:g} s")
        left_s = begun.start_s + injection.limit_s + _SURELY_S - time.monotonic()
        looks = fault.steady_looks(injection)
        end_s = self._live.watches.poll(back.look, timeout_s=left_s, in_a_row=looks, apart_s=_APART_S)
        over_s, by = time.monotonic(), fault.repaired_by(injection, self._live)
        data: dict[str, Any] = {"not_before_s": round(back.not_before_s, 6)} | ({} if by is None else {"by": by})
        if end_s is None:
            cause = fault.why_not_back(injection, self._live)
            data |= {"waited_s": round(over_s - begun.start_s, 3), "last_seen": back.missed}
            data |= {} if cause is None else {"cause": cause}
            self._tell(
                fault.name, FaultWord.NOT_RECOVERED, data, begun=begun, end_s=over_s, outcome=Outcome.FAIL
            )  # fmt: skip
            self._keep()
            return False
        self._tell(fault.name, FaultWord.RECOVERED, data, begun=begun, end_s=end_s)
        return True

    def _gone(self, fault: Fault, injection: Injection, undone: Event) -> None:
        """Where the platform takes an undo in later: wait until nothing of it is in the app any more.

        Then it is undone, and said so again: users may feel that as they felt the fault.
        """

        gone = Between(lambda: fault.left_behind(injection, self._live), since_s=undone.end_s)
        if gone.look() is not None:
            return
        self._status(f"fault {fault.name}: what is left of it to go, within {injection.limit_s:g} s")
        looks = fault.steady_looks(injection)  # an app may answer now and then while it is unwell
        end_s = self._live.watches.poll(gone.look, timeout_s=injection.limit_s, in_a_row=looks, apart_s=_APART_S)
        if end_s is None:
            raise CannotJudgeError(
                f"{injection.subject} was put back {injection.limit_s:g} s ago, and still: {gone.missed}"
            )
        self._tell(fault.name, FaultWord.UNDONE, undone.data, begun=undone, end_s=end_s)

    def _undo(self, fault: Fault, entries: list[Entry], *, by: UndoneBy | None = None) -> Event | None:
        """Undo what is open, and look again: what was put back must be found as it was. The fact that says so, if any.

        `by` is who has repaired it, if that was seen; it stands where nothing was left to put back.
        """
        told: Event | None = None
        handlers, begun_s = self._handlers(), time.monotonic()
        ended = replay(self._journal, handlers, entries=entries)
        over_s = time.monotonic()  # now it is taken away, and not when that was looked at again
        for entry, undone in ended:
            if undone.how == "done":
                again = handlers[entry.kind](entry.args)
                if again.how != "not-needed":
                    raise CannotJudgeError(f"{entry.subject} was put back and is not as before: {again.reason}")
                told = self._recorder.record(
                    SOURCE, subject_of(fault.name), FaultWord.UNDONE, start_s=begun_s, end_s=over_s,
                    data={"by": UndoneBy.HARNESS},
                )  # fmt: skip
            elif undone.how == "not-needed" and by is not None:
                told = self._tell(fault.name, FaultWord.UNDONE, {"by": by})
        return told

    def _handlers(self) -> Mapping[str, Handler]:
        return undo_handlers(self._live.kube, self._live.target, self._live.repo)

    @staticmethod
    def _since_s(begun: Event) -> float:
        return round(time.monotonic() - begun.start_s, 3)

    def _tell(
        self, name: str, what: FaultWord, data: Mapping[str, Any], *, begun: Event | None = None,
        end_s: float | None = None, outcome: Outcome = Outcome.OK,
    ) -> Event:  # fmt: skip
        """One fact; with `begun` a span from then until `end_s`, or until now."""
        start_s = begun.start_s if begun is not None else None
        if begun is not None and end_s is None:
            end_s = time.monotonic()
        return self._recorder.record(
            SOURCE, subject_of(name), what, outcome=outcome, start_s=start_s, end_s=end_s, data=data
        )

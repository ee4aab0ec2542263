"""Runner of drifts: changes what git declares, and times Argo CD's repair of it with a watch (docs/argocd.md 1.8).

A trial starts only when all is at rest, and asks Argo CD for no refresh before its deadline: that would hide a broken
watch. Whatever self-heal does not repair is put back here. It records facts and must never judge them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rollproof.clients.argo import ApplicationState, application_state, automation
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.backoff import BackOff, model
from rollproof.core.event import Outcome, Recorder
from rollproof.core.injection import Injection
from rollproof.core.plan import Plan
from rollproof.core.reasons import Found, HealCause, HealStage, UndoneBy, Unrest
from rollproof.core.syncwindows import synced_by
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.faults.base import Context
from rollproof.faults.objects import is_whole, manager_of
from rollproof.faults.registry import all_faults, fault_named, undo_handlers
from rollproof.faults.selfheal.drift import Drift, NotHereError
from rollproof.faults.selfheal.fairness import (
    age_s,
    causes,
    covered_by_ignore,
    known_beforehand,
    rolled_out,
    unrest,
)
from rollproof.faults.selfheal.injecting import Injected, inject
from rollproof.faults.selfheal.interference import Interference, found_now, interference
from rollproof.faults.selfheal.trial import Trial, subject_of_trial
from rollproof.faults.selfheal.watched import Watched
from rollproof.faults.selfheal.windows import denied
from rollproof.probes.objectwatch import Arrival, ObjectHistory
from rollproof.probes.scheduling import quick
from rollproof.probes.waiting import Changes
from rollproof.store.journal import Entry, Journal, Late, Undone, replay

__all__ = ["DriftRunner"]

_SETTLE_S = 120.0  # an image that cannot start is rolled back within this, or the next trial is not fair
_GRAIN_S = 2.0  # finishedAt is cut to whole seconds and comes from another clock
_TRIES = 3
_STAYS_S = 1.0  # what was restored must stay so for this long: a repair that does not last is none
_BEFORE_REPLY_S = 5.0  # an arrival can overtake the API's reply to the injection; its version says that it is later
_NEVER_S = -1.0
_LATE_S = 1.0  # for the event of a repair that the API tells of already
_NO_OPERATION_S = 3.0  # a repair for which no operation is seen by then was not Argo CD's


class DriftRunner:
    """Runs the drifts of one drill, one at a time. Each ends as before, or with an open entry in the journal."""

    def __init__(
        self, context: Context, recorder: Recorder, journal: Journal, *, status: Callable[[str], None] = lambda _: None
    ) -> None:
        self._context = context
        self._target, self._kube, self._argo = context.target, context.kube, context.argo
        self._settings = context.target.drift
        self._recorder = recorder
        self._journal = journal
        self._status = status
        self._model: BackOff | None = None

    def run(self, plan: Plan) -> None:
        """Every drift that the plan has for this drill; what it has skipped is said again, with its reason."""
        for drift, injection in self._mine(plan):
            self._status(f"drift {drift.trial}")
            self._journal.allow()
            with self._guarded(drift.trial):
                trial = self._resolved(drift, injection)
                with quick(), ExitStack() as stack:
                    self._trial(drift, trial, self._watched(trial, stack))

    # -- the steps of a trial -----------------------------------------------------------------------------------

    def _mine(self, plan: Plan) -> list[tuple[Drift, Injection]]:
        """The drifts of this drill, after what was skipped was told."""
        for skip in plan.skips:
            drift = fault_named(skip.fault)
            if skip.drill == self._context.drill and isinstance(drift, Drift):
                self._tell(drift.trial, "skipped", {"reason": skip.reason})
        of_drill = [one for one in plan.injections if one.drill == self._context.drill]
        return [(drift, one) for one in of_drill if isinstance(drift := fault_named(one.fault), Drift)]

    def _resolved(self, drift: Drift, injection: Injection) -> Trial:
        """The trial against the cluster as it is now: a release may have come since the plan."""
        trial = drift.resolved(self._context)
        if (trial.target, trial.args) != (injection.subject, injection.args):
            raise NotHereError(f"the plan does not name it: {trial.target}, {trial.change}")
        kind = "control" if trial.control else "heal"
        planned = {"object": trial.target, "change": trial.change, "undo": trial.undo, "kind": kind}
        self._tell(drift.trial, "planned", planned)
        return trial

    @contextmanager
    def _guarded(self, trial: str) -> Iterator[None]:
        """What goes wrong inside ends the trial: it is told, and what is open of it is put back."""
        try:
            yield
        except NotHereError as reason:
            self._tell(trial, "skipped", {"reason": str(reason)})
        except RollproofError as error:
            self._tell(trial, "error", {"reason": str(error)}, outcome=Outcome.UNKNOWN)
            self._put_back(trial)

    def _watched(self, trial: Trial, stack: ExitStack) -> Watched:
        changes, cluster = Changes(), self._target.cluster

        def history(kube: Kube, kind: str, namespace: str, name: str) -> ObjectHistory:
            return stack.enter_context(ObjectHistory(kube, kind, namespace, name, changes))

        deployment = history(self._kube, "Deployment", cluster.namespace, cluster.deployment)
        item = deployment
        if trial.kind != "Deployment":
            item = history(self._kube, trial.kind, trial.namespace, trial.object_name)
        application = history(self._argo.kube, "Application", self._argo.namespace, self._argo.application)
        return Watched(changes, application, deployment, item)

    def _trial(self, drift: Drift, trial: Trial, watched: Watched) -> None:
        before = self._before(trial, watched)
        if not before["fair"]:
            return
        done = inject(drift, trial, self._kube, self._journal, self._recorder)
        if done is not None:
            self._follow(trial, watched, done, before)

    def _follow(self, trial: Trial, watched: Watched, done: Injected, before: Mapping[str, Any]) -> None:
        """What became of the change."""
        if trial.control:
            self._control(trial, watched, done)
        else:
            self._heal(trial, watched, done, before)
        self._tell_interference(trial, watched, done)
        self._tell_blind(watched, done)

    def _before(self, trial: Trial, watched: Watched) -> Mapping[str, Any]:
        """Wait for rest, wait out or reset the back-off, and write down where the trial starts from."""
        rules, version = self._rules(), 0
        for _ in range(_TRIES):
            self._rest(watched, version)
            if not trial.control:
                self._out_of_backoff(trial, watched, rules)
            state = self._argo.state()
            if not unrest(state, watched.rollout(self._target.cluster.container)):
                break  # else a commit came while the back-off ran: what follows it must come to rest too
            version = int(state.resource_version or 0)
        state, application = self._argo.state(), self._argo.read()
        policy = automation(application)
        quiet_s = age_s(state.finished_at, self._argo.kube.wall_s())
        unfair = dict(unrest(state, watched.rollout(self._target.cluster.container)))
        window = self._window_denied()
        if window:
            unfair[Unrest.SYNC_WINDOW] = "a sync window forbids automated syncs now"
        remaining_s = rules.remaining_s(
            finished_at_s=None if quiet_s is None else -quiet_s, attempts=state.attempts, now_s=0.0
        )
        before = {
            "attempts": state.attempts, "finished_at": state.finished_at, "started_at": state.started_at,
            "gap_s": rules.gap_s(state.attempts), "remaining_s": round(remaining_s, 3),
            "quiet_s": None if quiet_s is None else round(quiet_s, 3), "sync_revision": state.sync_revision,
            "operation_revision": state.operation_revision, "fair": not unfair,
            "unfair": list(unfair), "why_unfair": "; ".join(unfair.values()),
            "self_heal": policy.self_heal, "automated": policy.on, "phase": state.phase,
            "window_denied": window,
            "ignored": covered_by_ignore(application, trial),
        }  # fmt: skip
        self._tell(trial.name, "before", before)
        return before

    def _rest(self, watched: Watched, version: int = 0) -> None:
        """Wait until nothing moves; what still moves then makes the trial unfair, which `before` says.

        version: the Application's resource version from which on the watch must have seen it: it can be behind.
        """
        container = self._target.cluster.container

        def at_rest() -> bool | None:
            state = watched.state()
            if int(state.resource_version or 0) < version:
                return None
            return True if unrest(state, watched.rollout(container)).keys() <= {Unrest.OTHER_REVISION} else None

        watched.wait(at_rest, _SETTLE_S)

    def _out_of_backoff(self, trial: Trial, watched: Watched, rules: BackOff) -> None:
        state = self._argo.state()
        quiet_s = age_s(state.finished_at, self._argo.kube.wall_s())
        if quiet_s is None or self._window_denied():
            return  # while a window forbids it nothing is healed, and our own sync would wait for its end as well
        left_s = rules.remaining_s(finished_at_s=-quiet_s, attempts=state.attempts, now_s=_GRAIN_S * -1)
        stale = state.operation_revision != state.sync_revision
        may_reset = self._settings.reset == "sync" and self._target.argocd.profile == "refresh"
        if may_reset and (left_s > self._settings.backoff_wait_max_s or stale):
            self._status(f"drift {trial.name}: a sync resets Argo CD's self-heal back-off")
            self._reset(watched, state)
        elif left_s > 0:
            self._status(f"drift {trial.name}: Argo CD's self-heal back-off ends in {left_s:.0f} s")
            time.sleep(left_s)

    def _reset(self, watched: Watched, before: ApplicationState) -> None:
        self._journal.allow()
        version = self._argo.sync_to_reset(before.sync_revision)

        def done() -> bool | None:
            state = watched.state()
            ours = int(state.resource_version or 0) > version and state.attempts == 0
            return True if ours and state.phase == "Succeeded" and not state.operation_pending else None

        if watched.wait(done, self._settings.deadline_s) is None:
            message = f"the sync that resets the self-heal count did not end; last seen: {watched.state().phase!r}"
            raise CannotJudgeError(
                message, "see status.operationState of the Application; drift.reset = 'wait' avoids it"
            )
        self._rest(watched)
        time.sleep(_GRAIN_S)

    # -- what follows the injection ----------------------------------------------------------------------------------

    def _control(self, trial: Trial, watched: Watched, done: Injected) -> None:
        watch_s = self._settings.negative_watch_s
        gone = watched.wait(lambda: self._restored(watched, done), watch_s)
        if gone is None:
            watched_s = round(time.monotonic() - done.at_s, 3)
            data = {"watched_s": watched_s, **self._looked_again(trial, watched, done)}
            self._tell(trial.name, "stayed", data, start_s=done.at_s)
        else:
            self._tell_restored(trial, done, gone)
        self._put_back(trial.name, done.entry)

    def _heal(self, trial: Trial, watched: Watched, done: Injected, before: Mapping[str, Any]) -> None:
        restored = watched.wait(lambda: self._restored(watched, done), self._patience_s(trial, before))
        detected = self._first(watched, done, lambda state: _noticed(state, before))
        if detected is not None:
            self._tell(trial.name, "detected", {}, start_s=done.at_s, end_s=detected.at_s)
        if restored is None:
            self._not_healed(trial, watched, done, before, seen=detected is not None)
            return
        self._tell_restored(trial, done, restored)
        self._tell_rest(trial, watched, done, before, restored.at_s)
        watched.wait(lambda: self._interference(watched, done), restored.at_s + _STAYS_S - time.monotonic())
        self._journal.settle(done.entry, Undone("not-needed", reason="restored by self-heal"))
        self._tell(trial.name, "undone", {"by": UndoneBy.SELF_HEAL})

    def _patience_s(self, trial: Trial, before: Mapping[str, Any]) -> float:
        """For how long a repair is waited for."""
        hopeless = known_beforehand(self._causes(trial))
        return float(before["remaining_s"]) + (2 * self._settings.limit_s if hopeless else self._settings.deadline_s)

    def _not_healed(
        self, trial: Trial, watched: Watched, done: Injected, before: Mapping[str, Any], *, seen: bool
    ) -> None:
        """Write down that no repair came, with what proves it: the watch showed the drift, and it is still there."""
        again = self._looked_again(trial, watched, done)
        late = watched.wait(lambda: self._restored(watched, done), _LATE_S) if again["found"] != Found.OURS else None
        if late is not None:  # at the last moment
            self._tell_restored(trial, done, late)
            self._tell_rest(trial, watched, done, before, late.at_s)
            self._put_back(trial.name, done.entry, by=UndoneBy.SELF_HEAL)
            return
        state = self._argo.state()  # its watch may be the one that shows nothing
        started = state.started_at != before["started_at"]
        detected = seen or _noticed(state, before)
        stage = HealStage.NOT_RESTORED if started else HealStage.NOT_SYNCED if detected else HealStage.NOT_DETECTED
        waited_s, checked = round(time.monotonic() - done.at_s, 3), self._causes(trial)
        data = {"stage": stage, "checked": dict(checked), "waited_s": waited_s, **again}
        self._tell(trial.name, "not-healed", data, start_s=done.at_s)
        by = None
        if stage == HealStage.NOT_DETECTED and again["seen"] and not any(checked.values()):
            by = UndoneBy.REFRESH if self._ask_to_look(trial, watched, done) else None
        self._put_back(trial.name, done.entry, by=by)

    def _looked_again(self, trial: Trial, watched: Watched, done: Injected) -> dict[str, Any]:
        """Did the trial's own watch show our change, and is it still there? Silence alone proves neither."""
        try:
            item = self._kube.find(trial.kind, trial.namespace, trial.object_name)
        except RollproofError:
            found = Found.UNREAD
        else:
            found = found_now(done, item)
        arrivals = watched.item.since(done.at_s - _BEFORE_REPLY_S)
        return {"seen": any(done.drift.is_shown(done.version, arrival) for arrival in arrivals), "found": found}

    def _ask_to_look(self, trial: Trial, watched: Watched, done: Injected) -> bool:
        """A diagnosis after the deadline (docs/argocd.md 1.8): does one refresh bring the repair that did not come?"""
        if self._target.argocd.profile != "refresh":
            return False
        asked_s, restored = time.monotonic(), None
        with suppress(RollproofError):  # that nothing was healed is known, whatever becomes of this
            self._journal.allow()
            self._argo.refresh()
            restored = watched.wait(lambda: self._restored(watched, done), self._settings.limit_s)
            manager = manager_of(restored.item, trial.path) if restored else ""
            data = {"restored": restored is not None, "manager": manager}
            self._tell(
                trial.name, "refreshed", data, start_s=asked_s, end_s=restored.at_s if restored else time.monotonic()
            )
        return restored is not None

    def _tell_rest(
        self, trial: Trial, watched: Watched, done: Injected, before: Mapping[str, Any], back_s: float
    ) -> None:
        """Wait for Synced and for Healthy, each with its time, and write down what Argo CD says it did."""

        def synced() -> float | None:
            state = watched.state()
            late = time.monotonic() - back_s > _NO_OPERATION_S
            ended = (state.started_at != before["started_at"] or late) and state.phase not in ("Running", "Terminating")
            return (
                watched.arrived_s() if ended and state.sync_status == "Synced" and not state.operation_pending else None
            )

        def healthy() -> float | None:
            rollout = watched.rollout(self._target.cluster.container)
            well = rollout is not None and rolled_out(rollout) and watched.state().health == "Healthy"
            return synced() if well else None

        def or_hopeless(look: Callable[[], float | None]) -> Callable[[], float | None]:
            return lambda: _NEVER_S if self._interference(watched, done) else look()

        for what, look in (("synced", synced), ("healthy", healthy)):
            at_s = watched.wait(or_hopeless(look), self._settings.deadline_s)
            if at_s is not None and at_s != _NEVER_S:
                self._tell(trial.name, what, {}, start_s=done.at_s, end_s=max(at_s, back_s))
        state = self._argo.state()
        words = (
            "attempts", "operation_revision", "automated", "initiated_by", "phase", "sync_status", "health",
            "started_at", "finished_at",
        )  # fmt: skip
        self._tell(trial.name, "after", {word: getattr(state, word) for word in words})

    def _restored(self, watched: Watched, done: Injected) -> Arrival | None:
        for arrival in watched.item.since(done.at_s - _BEFORE_REPLY_S):
            metadata = arrival.item["metadata"]
            if arrival.change == "DELETED" or int(metadata["resourceVersion"]) <= done.version:
                continue
            if done.value(arrival.item) == done.original:
                return arrival
        return None

    def _first(self, watched: Watched, done: Injected, wanted: Callable[[ApplicationState], bool]) -> Arrival | None:
        arrivals = watched.application.since(done.at_s)
        return next((one for one in arrivals if wanted(application_state(one.item))), None)

    def _tell_restored(self, trial: Trial, done: Injected, arrival: Arrival) -> None:
        data = {
            "resource_version": arrival.item["metadata"]["resourceVersion"],
            "uid": arrival.item["metadata"]["uid"],
            "manager": manager_of(arrival.item, trial.path),
            "value": done.value(arrival.item),
            "complete": is_whole(arrival.item, done.before),
        }
        self._tell(trial.name, "restored", data, start_s=done.at_s, end_s=max(arrival.at_s, done.at_s))

    def _interference(self, watched: Watched, done: Injected) -> Interference | None:
        return interference(done, watched.item.since(done.at_s - _BEFORE_REPLY_S))

    def _tell_interference(self, trial: Trial, watched: Watched, done: Injected) -> None:
        found = self._interference(watched, done)
        if found is None:
            return
        data = {"manager": found.manager, "value": found.value, "after_restored": found.after_restored}
        self._tell(
            trial.name, "interfered", data, outcome=Outcome.UNKNOWN, start_s=done.at_s, end_s=max(found.at_s, done.at_s)
        )

    def _tell_blind(self, watched: Watched, done: Injected) -> None:
        for name, history in (("Application", watched.application), ("object", watched.item)):
            if history.blind_s > 0:
                reason = f"the drill's own watch was away for {history.blind_s:.3f} s"
                blind_s = round(history.blind_s, 3)
                data = {"lost": history.lost or blind_s > 1, "reason": reason, "blind_s": blind_s}
                self._recorder.record(
                    "watch", f"Watch/{name}", "gap", outcome=Outcome.UNKNOWN, start_s=done.at_s,
                    end_s=time.monotonic(), data=data,
                )  # fmt: skip

    # -- helpers ------------------------------------------------------------------------------------------------

    def _put_back(self, trial: str, entry: Entry | None = None, by: UndoneBy | None = None) -> None:
        """Undo the trial's own entry, or after an error whatever of drift is still open.

        `by` is who has put it back already, if that was seen.
        """
        entries = [entry] if entry else self._journal.open_entries()
        handlers = undo_handlers(self._kube, self._target)
        kinds = {fault.journal_kind for fault in all_faults().values() if isinstance(fault, Drift)}
        entries = [one for one in entries if one.kind in kinds]
        late = Late(self._target.undo.late_s, quiet_s=time.time())
        for _, undone in replay(self._journal, handlers, entries=entries, late=late):
            if undone.how == "done":
                self._tell(trial, "undone", {"by": UndoneBy.HARNESS})
            elif undone.how == "not-needed":  # it was as before when we came
                self._tell(trial, "undone", {"by": by or UndoneBy.OTHER})

    def _causes(self, trial: Trial) -> Mapping[HealCause, bool | None]:
        application = self._argo.read()
        ready: bool | None = None
        with suppress(ApiError):  # not allowed to look is no proof of anything
            for one in self._argo.kube.list("StatefulSet", self._argo.namespace)["items"]:
                if one["metadata"]["name"].endswith("application-controller"):
                    ready = bool((one.get("status") or {}).get("readyReplicas"))
        return causes(
            application, application_state(application), trial, controller_ready=ready,
            window_denied=self._window_denied(),
        )  # fmt: skip

    def _window_denied(self) -> bool | None:
        """Does a sync window forbid it now? None if that cannot be known."""
        windows = self._argo.sync_windows(self._target.argocd.project)
        if not windows:
            return None if windows is None else False
        to = synced_by(self._argo.read(), self._target.cluster.namespace)
        return denied(windows, to, now=datetime.fromtimestamp(self._argo.kube.wall_s(), UTC))

    def _rules(self) -> BackOff:
        """The back-off in use, read and recorded once."""
        if self._model is None:
            said = self._argo.settings()
            self._model = model(
                said.version, fixed_delay_s=said.fixed_delay_s, start_s=said.backoff_start_s,
                factor=said.backoff_factor, cap_s=said.backoff_cap_s, cooldown_s=said.backoff_cooldown_s,
            )  # fmt: skip
            data = {**asdict(self._model), "version": said.version}
            self._recorder.record("drift", "Drift", "model", data=data)
        return self._model

    def _tell(
        self, trial: str, what: str, data: Mapping[str, Any], *, outcome: Outcome = Outcome.OK,
        start_s: float | None = None, end_s: float | None = None,
    ) -> None:  # fmt: skip
        ends_s = {"stayed", "not-healed"}
        if what in ends_s and end_s is None:
            end_s = time.monotonic()
        self._recorder.record(
            "drift", subject_of_trial(trial), what, outcome=outcome, start_s=start_s, end_s=end_s, data=data
        )


def _noticed(state: ApplicationState, before: Mapping[str, Any]) -> bool:
    return state.sync_status == "OutOfSync" or state.started_at != before["started_at"]

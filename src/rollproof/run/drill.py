"""The objects that a drill uses: the run, the traffic around its act, the faults; its drifts are in `run.drift`.

They implement the phases (settle, baseline, act, recovery, steady) and judge nothing: verdicts come from checkers.
Whatever was started is ended, above all the load, however the drill ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rollproof.core.gate import GateWord
from rollproof.core.injection import Injection, Skip
from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.core.trials import is_drift
from rollproof.core.verdict import Result, worst
from rollproof.errors import AbortedError, CannotJudgeError, Inconclusive, LockedError, RollproofError, RollproofFailure
from rollproof.faults.base import Context, Fault, LiveContext
from rollproof.faults.registry import fault_named
from rollproof.faults.runner import FaultRunner
from rollproof.judge.checkers import CHECKERS
from rollproof.judge.judging import judge_drill
from rollproof.loadgen import LoadSession
from rollproof.preflight.faultplans import plan_fault
from rollproof.probes.ingressfollow import IngressFollow
from rollproof.probes.ingresslog import record_retries
from rollproof.probes.posture import look_at_posture
from rollproof.probes.proof import Prover
from rollproof.release import TAG_KIND, Release, Rollout, restore_tag
from rollproof.run.abort import AbortProbe
from rollproof.run.autoscaling import AutoscalingDrill
from rollproof.run.context import RunContext
from rollproof.run.drift import DriftDrill, drift_meanwhile
from rollproof.run.gate import pass_gate
from rollproof.run.jobs import JobsDrill
from rollproof.run.pipeline import follow_pipeline
from rollproof.run.renewal import is_over
from rollproof.run.secrets import SecretsDrill
from rollproof.store.journal import replay
from rollproof.store.runfolder import UnwritableError

__all__ = ["DriftDrill", "FaultDrill", "Load", "Run", "Traffic"]

_PROGRESS_S = 0.5
_BEYOND_S = 0.5  # the end of the judged window must lie inside the load
_SETTLE_S = 120.0
_POD_CHECKERS = frozenset({
    "availability", "bad_release", "dependency", "fault", "loss", "outage", "readiness", "release", "rollback",
    "rollout", "version",
})  # fmt: skip
_LOOK_S = 5.0  # if it was waited for without success before: time for one more check by the next drill


class Run:
    """The run as one drill sees it."""

    def __init__(self, context: RunContext, drill: str) -> None:
        self._context = context
        self.drill = drill
        self._open_before: set[int] = set()  # releases of drills before this one

    @property
    def plan(self) -> Plan:
        """The plan of the run."""
        return self._context.plan

    @property
    def target(self) -> Target:
        """The system under test."""
        return self._context.target

    @property
    def injections(self) -> tuple[Injection, ...]:
        """The planned faults of this drill, without drifts, which have a runner and rules of rest of their own."""
        planned = (one for one in self.plan.injections if one.drill == self.drill)
        return tuple(one for one in planned if isinstance(fault_named(one.fault), Fault))

    @property
    def skipped(self) -> str:
        """Why no planned fault of this drill is possible, or no drift that is to be made beside it; "" else."""
        skips = [one for one in self.plan.skips if one.drill == self.drill]
        if not self.injections:
            return "; ".join(skip.reason for skip in skips if isinstance(fault_named(skip.fault), Fault))
        drifts = any(one.drill == self.drill and is_drift(one.fault) for one in self.plan.injections)
        return "" if drifts else "; ".join(skip.reason for skip in skips if is_drift(skip.fault))

    def enter(self) -> str:
        """Require the steady state before the faults of one of several drills. CannotJudgeError if it is missing.

        Why the drill is to be skipped now, before there is load: drills before it may have changed what can be done.
        """
        self._open_before = {entry.number for entry in self._context.journal.open_entries(TAG_KIND)}
        if not self.injections:
            return ""
        renewal = self._context.renewal()
        if not self._is_one_of_several:
            return ""
        self._context.check_lock()
        self._context.status("pods that a drill before has restarted, or put on one node")
        renewal.replace_marked()
        self._context.status("the steady state, before the drill")
        within_s = _SETTLE_S if self._context.steady else _LOOK_S
        missing = self._pass(GateWord.BEFORE, within_s=within_s, held_s=0.0)
        if missing:
            raise CannotJudgeError(f"the steady state was not there before the drill: {missing}")
        clients = self._context.clients
        context = Context(
            drill=self.drill, target=self.target, kube=clients.kube, argo=clients.argo, repo=clients.repo
        )  # fmt: skip
        found = [plan_fault(one.fault, context) for one in self.injections]
        return "; ".join(one.reason for one in found if isinstance(one, Skip)) if _all_skipped(found) else ""

    def leave(self) -> None:
        """Require the steady state after them, for some time: what watches report late belongs to this drill."""
        if not self.injections:
            return
        if not is_over(self._context.folder.events(), self.drill):
            self._context.status("pods that hang to be replaced")
            with suppress(UnwritableError, LockedError):  # another run may be what keeps them from serving
                self._context.check_lock()
                self._context.renewal().replace_hanging()
        if not self._is_one_of_several:
            return
        self._context.status("the steady state, after the drill")
        lingers_s = [fault.lingers_s for one in self.injections if isinstance(fault := fault_named(one.fault), Fault)]
        last = self.drill == self.plan.drills[-1]  # then nobody is left whom a memory could mislead
        held_s = 0.0 if last else max(self.target.faults.rest_s, *lingers_s)
        within_s = _SETTLE_S if self._context.steady else _LOOK_S
        with suppress(UnwritableError):  # then nothing is claimed about this run
            if self.take_back():
                with suppress(RollproofError):
                    self.settle()
            self._pass(GateWord.AFTER, within_s=within_s, held_s=held_s)

    def take_back(self) -> bool:
        """Restore the tag from before, where this drill has deployed another. Whether it has.

        What could not be restored stays in the journal for the end of the run, and is looked for again there.
        """
        context = self._context
        ours = [one for one in context.journal.open_entries(TAG_KIND) if one.number not in self._open_before]
        if not ours or self.plan.keep == "always":
            return False
        context.status("the release of the drill to be taken back")
        undo = {TAG_KIND: lambda args: restore_tag(context.clients.repo, self.plan.run_id, args)}
        with suppress(RollproofError):
            replay(context.journal, undo, entries=ours)
            context.deployed = None
        return True

    def _pass(self, word: GateWord, *, within_s: float, held_s: float) -> str:
        context = self._context
        missing = pass_gate(
            word, context.watches, context.journal, context.folder, within_s=within_s, held_s=held_s
        )  # fmt: skip
        context.steady = not missing
        return missing

    @property
    def _is_one_of_several(self) -> bool:
        return len(self.plan.drills) > 1

    def release(self) -> Release:
        """Deploys and reverts the plan's version."""
        return self._context.release

    def traffic(self) -> Traffic:
        """Load around an act."""
        return Traffic(self._context, self)

    def drift(self) -> DriftDrill:
        """Drifts, one at a time."""
        return DriftDrill(self._context, self.drill, self.phase)

    def look(self) -> None:
        """Read the live objects that decide how the app takes a release and a fault (`probes.posture`)."""
        clients = self._context.clients
        with self.phase("act"):
            self._context.status("what live objects say")
            look_at_posture(self.target, clients.kube, clients.argo, self._context.folder)

    def follow(self) -> None:
        """Look at each place that the running version passed on its road to users (`probes.pipeline`)."""
        with self.phase("act"):
            follow_pipeline(self._context)

    def autoscaling(self) -> AutoscalingDrill:
        """A rise and fall of load that the app's autoscaler is to answer."""
        return AutoscalingDrill(self._context)

    def jobs(self) -> JobsDrill:
        """The app's job report, read around what the drill does."""
        return JobsDrill(self._context, self.phase)

    def secrets(self) -> SecretsDrill:
        """The search for secrets where they must not be."""
        return SecretsDrill(self._context)

    def faults(self) -> FaultDrill:
        """The faults that the plan has for this drill."""
        return FaultDrill(self._context, self)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A named span of the timeline."""
        self._context.console.phase(name)
        begun_s = time.monotonic()
        try:
            yield
        finally:
            self._context.folder.record("run", "phase", name, start_s=begun_s, end_s=time.monotonic())

    def settle(self) -> None:
        """Wait until the target is at rest: the branch's head is synced, and only the expected version runs."""
        self._context.check_lock()
        if self._context.awaits_rollout():
            return
        with self.phase("settle"):
            self._context.status("the app to be at rest")
            self._context.release.settle(self._context.running_sha(), deadline_s=_SETTLE_S)

    def deployed(self) -> Rollout:
        """The release that is open in this run; made now if no drill before has made one, or one has reverted it."""
        made = self._context.deployed
        if made is None or not made.revision or made.reverted:
            self.settle()  # also: nothing is pushed while Argo CD cannot compare
            with self.phase("settle"):
                self.keep(self._context.release.deploy())
        deployed = self._context.deployed
        if deployed is None or not deployed.revision:
            raise CannotJudgeError("there is no release to roll back: the deploy was not pushed")
        return deployed

    def keep(self, rollout: Rollout) -> Rollout:
        """Remember the release for the drills after this one."""
        self._context.deployed = rollout
        return rollout

    def judge(self, *names: str) -> None:
        """Run the named checkers. FAIL and INCONCLUSIVE are raised, so that pytest reports them."""
        unknown = [name for name in names if name not in CHECKERS]
        if unknown:
            raise ValueError(f"no checker is named {unknown[0]!r}")
        folder = self._context.folder
        folder.record("run", "judge", "asked", data={"checkers": list(names)})
        with suppress(LockedError):  # it is recorded as a fact then, and the checkers see it
            self._context.check_lock()
        self._context.finished()
        verdicts = judge_drill(folder.facts(self.drill))
        result = worst(verdict.result for verdict in verdicts)
        if result is Result.PASS:
            return
        failed = {verdict.checker for verdict in verdicts if verdict.result is Result.FAIL}
        if failed & _POD_CHECKERS and not self._context.keeper.kept:
            self._context.keeper.keep()  # the pods may say why, and the undo takes them away
        said = "; ".join(f"{verdict.checker}: {verdict.why}" for verdict in verdicts if verdict.result is result)
        if result is Result.FAIL:
            raise RollproofFailure(said)
        raise Inconclusive(said or "nothing was judged")


def _all_skipped(found: list[Injection | Skip]) -> bool:
    return all(isinstance(one, Skip) for one in found)


class Traffic:
    """The load of one drill, with a clean baseline before the act."""

    def __init__(self, context: RunContext, run: Run) -> None:
        self._context = context
        self._run = run
        target = run.target
        breaks = any(fault_named(one.fault).breaks_entry for one in run.injections)
        control = target.control_beside(entry_breaks=breaks)
        self._generator = LoadSession(
            target.app, target.traffic, control, context.folder, context.folder.path,
            drill=run.drill, environ=context.environ,
        )  # fmt: skip
        self._tested = False

    def self_test(self) -> None:
        """Check the generator against a server of known failures, before any change; once. LoadError if it fails."""
        if not self._tested:
            self._context.status("self-test of the load generator")
            self._generator.self_test()
            self._tested = True

    @contextmanager
    def steady(self) -> Iterator[Load]:
        """Load around the block: the baseline before it, and after it the rest of the judged window.

        The block acts, and the act is over at its end, or at the time that `over_with` gives. If it raises, the load
        ends at once. In both cases the requests are recorded in the folder, and the ingress's log is read.
        """
        context, target = self._context, self._run.target
        self._run.settle()
        self.self_test()
        follow = IngressFollow(context.clients.kube, target.ingress, self._generator.request_id_prefix)
        with self._generator as generator, follow, self._probed(generator) as probe:
            load = Load(generator, self._run, probe)
            begun_s = time.monotonic()
            generator.start()
            with _progress(generator, context.console.progress):
                try:
                    load.baseline()
                    probe.arm()
                    yield load
                    load.go_on()
                except AbortedError:
                    context.status("the drill ends at once")  # a fact says why; what was lost until then is judged
                finally:
                    if probe.fired:  # nobody waits for the end of the run while users are without an answer
                        self._run.take_back()
                    context.status("the last answers")
                    log = generator.stop()
        since_s = time.monotonic() - begun_s
        record_retries(context.clients.kube, target.ingress, context.folder, log=log, since_s=since_s, follow=follow)

    @contextmanager
    def _probed(self, generator: LoadSession) -> Iterator[AbortProbe]:
        """Whoever waits while the load runs is interrupted when more is lost than is allowed."""
        context = self._context
        probe = context.probe = AbortProbe(self._run.target, generator, context.watches, context.folder)
        try:
            with probe.watching(context.clients.kube):
                yield probe
        finally:
            context.probe = None


class Load:
    """Load that is running."""

    def __init__(self, generator: LoadSession, run: Run, probe: AbortProbe) -> None:
        self._generator = generator
        self._run = run
        self._probe = probe
        self._over_s: float | None = None  # when the act was over (monotonic clock), if not at the end of the block

    def baseline(self) -> None:
        """Load on an app that nobody changes: without it no failure could be attributed to the act."""
        with self._run.phase("baseline"):
            self._go_on(self._run.target.traffic.baseline_s)

    def over_with(self, rollout: Rollout) -> None:
        """The act was over when the last old pod of this rollout was gone."""
        self._over_s = rollout.old_gone_s

    def go_on(self) -> None:
        """Continue until the act has been over for `after_old_gone_s`, and a tail after that; not after an abort."""
        if self._probe.fired:
            return
        traffic = self._run.target.traffic
        since_s = time.monotonic() - self._over_s if self._over_s is not None else 0.0
        with self._run.phase("recovery"):
            self._go_on(traffic.after_old_gone_s - since_s)
        with self._run.phase("steady"):
            self._go_on(traffic.tail_s + _BEYOND_S)

    def _go_on(self, duration_s: float) -> None:
        until_s = time.monotonic() + duration_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._generator.progress()  # raises if the generator has died
            self._probe.look()
            time.sleep(min(left_s, _PROGRESS_S))


class FaultDrill:
    """The injections that the plan has for one drill."""

    def __init__(self, context: RunContext, run: Run) -> None:
        self._context = context
        self._run = run

    def run(self) -> None:
        """Inject each, wait for its effect and for the recovery, undo; then ask the app for its state."""
        with self._run.phase("act"):
            prover = self._inject()
        self._ask(prover)

    def run_with_drift(self) -> None:
        """The same with the drill's drift, which is made while the fault is held, and whose repair is waited for."""
        with self._run.phase("act"), drift_meanwhile(self._context, self._run.drill) as change:
            prover = self._inject(while_held=change)
        self._ask(prover)

    def _ask(self, prover: Prover) -> None:
        """In short where it did not come back: what hangs is asked for a minute a pod, and the verdict is known."""
        context = self._context
        if context.probe is not None and context.probe.fired:
            return
        context.status("what the app says now")
        pods = [name for name, pod in context.watches.pods().items() if not pod.terminating]
        ask = prover.prove if is_over(context.folder.events(), self._run.drill) else prover.glance
        ask(pods, context.running_sha())

    def inject(self) -> None:
        """Inject each and wait for the recovery, in the middle of a release, which proves itself what the app says."""
        self._inject(in_release=True)

    def _inject(self, *, in_release: bool = False, while_held: Callable[[], None] = lambda: None) -> Prover:
        context, clients = self._context, self._context.clients
        prover = Prover(self._run.target, clients.kube, clients.http, context.folder, clients.ways)
        live = LiveContext(
            drill=self._run.drill, target=self._run.target, kube=clients.kube, argo=clients.argo, repo=clients.repo,
            watches=context.watches, prover=prover, sha=context.running_sha(), in_release=in_release,
        )  # fmt: skip
        FaultRunner(
            live, context.folder, context.journal, status=context.status, plan_again=self._plan_again(live),
            expect_outage=context.probe.expect_outage if context.probe is not None else lambda *_: None,
            keep=context.keeper.keep, while_held=while_held,
        ).run(context.plan)  # fmt: skip
        return prover

    def _plan_again(self, live: LiveContext) -> Callable[[str], Injection | Skip] | None:
        """Where a drill before this one may have replaced what the plan names: pods, a count of replicas."""
        if self._run.drill == self._run.plan.drills[0]:
            return None
        context = Context(drill=live.drill, target=live.target, kube=live.kube, argo=live.argo, repo=live.repo)
        return lambda name: plan_fault(name, context)


@contextmanager
def _progress(generator: LoadSession, tell: Callable[[int, int], None]) -> Iterator[None]:
    """Show the number of requests on the console, from a thread of its own."""
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(_PROGRESS_S):
            try:
                tell(*generator.progress())
            except CannotJudgeError:
                return  # the generator has ended; the code that waits for it reports that

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

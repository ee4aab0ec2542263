"""Session: one run, from the look before anything is touched to the reports after everything is put back.

Order is everything here: look, plan on disk, lock, watches; drills; undo, look whether it is undone, judge, reports.
The undo always comes, after success, failure, an exception, Ctrl-C and SIGTERM; `rollproof undo` does it after kill -9.
It must never decide a verdict.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO, TypeVar

from rollproof import faults
from rollproof.clients.kube import Kube
from rollproof.clients.registry import check_image
from rollproof.core.event import Outcome
from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.core.verdict import Result, worst
from rollproof.drilling import Run
from rollproof.environment import gather
from rollproof.errors import LockedError, RollproofError
from rollproof.faults.trials import plan_trials
from rollproof.interrupts import Interrupts
from rollproof.judging import judge_drill, judge_run, write_reports
from rollproof.planning import Order, check_order, make_plan, wanted_target
from rollproof.preflight import Clients, look
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.release import TAG_KIND, Release, Rollout, restore_tag
from rollproof.reports.console import LiveConsole
from rollproof.runfolder import UNDO, RunFolder, new_run_id
from rollproof.safety import LEASE_NAME, RunLock, lease_release
from rollproof.targetfile import LoadedTarget, load, secret_values
from rollproof.undo import FolderStore, Handler, Journal, Undone, replay

__all__ = ["Session", "preview", "undo_stored"]

T = TypeVar("T")
_LEASE_KIND = "lease-release"
_KEPT = "kept: "  # how the reason of an entry begins that is not undone on purpose


def preview(order: Order, loaded: LoadedTarget) -> Plan:
    """The plan of a run that is not going to happen. Reads only."""
    target = wanted_target(order, loaded.target)
    check_order(order, target)
    with Clients.of(loaded) as clients:
        return _resolve(order, target, clients, run_id=new_run_id(order.drills, wall_s=time.time()))


def _resolve(order: Order, target: Target, clients: Clients, *, run_id: str) -> Plan:
    """Look, and plan. Everything that can be refused is refused here."""
    found = look(order, target, clients)
    if "drift" in order.drills:
        trials = plan_trials(target, clients.kube, clients.argo)
        found = replace(found, drift_touches=tuple(trial.touch() for trial in trials))
    plan = make_plan(order, target, found, run_id=run_id)
    if plan.new_sha and not plan.restart:
        check_image(target.release.image_check, f"{target.env_repo.image}:{plan.new_sha}", clients.kube)
    return plan


def _made(part: T | None) -> T:
    if part is None:
        raise RuntimeError("the session is not open")
    return part


class Session:
    """One run. `open`, then drills between `begin` and `end`, then `close`, whatever happened."""

    def __init__(self, order: Order, target_path: Path, folder: Path | None, stream: TextIO) -> None:
        self.console = LiveConsole(stream)
        self.deployed: Rollout | None = None  # the release that is open in this run
        self._order = order
        self._target_path = target_path
        self._path = folder
        self._interrupts = Interrupts(self._busy)
        self._folder: RunFolder | None = None
        self._lock: RunLock | None = None
        self._watches: Watches | None = None
        self._clients: Clients | None = None
        self._release: Release | None = None
        self._drill = ""
        self._closed = False

    # -- before the drills --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Look, plan, lock, watch. Until the lock is taken nothing in the cluster is touched."""
        self._interrupts.catch()
        self.console.__enter__()
        self.loaded = load(self._target_path)
        target = wanted_target(self._order, self.loaded.target)
        check_order(self._order, target)
        self.status("preflight")
        run_id = new_run_id(self._order.drills, wall_s=time.time())
        self._path = self._path or Path("reports") / run_id
        self._clients = Clients.of(self.loaded)
        self.plan = _resolve(self._order, target, self._clients, run_id=self._path.name)
        environment = gather(self._clients)
        self._folder = RunFolder.create(
            self._path, self.plan, secrets=secret_values(self.loaded), listener=self.console.follow
        )
        self._folder.write_environment(environment)
        self.console.plan(self.plan)
        self.journal = Journal(FolderStore(self._path / "undo.jsonl"), self._folder)
        self._take_lock(target)
        self._watches = Watches(target, self._clients.kube, self._clients.argo, self._folder)
        self._watches.start()
        self.status("how late the watches are")
        self._watches.calibrate(lease=LEASE_NAME)
        self._release = Release(
            self.plan, kube=self._clients.kube, argo=self._clients.argo, repo=self._clients.repo, view=self._watches,
            prover=Prover(target, self._clients.kube, self._clients.http, self._folder), recorder=self._folder,
            journal=self.journal, status=self.status,
        )  # fmt: skip

    def _take_lock(self, target: Target) -> None:
        namespace = target.cluster.namespace
        lock = RunLock(self.clients.kube, namespace, self.plan.run_id)
        args = {"namespace": namespace, "run_id": self.plan.run_id}
        self.journal.write(_LEASE_KIND, f"Lease/{namespace}/{LEASE_NAME}", args)
        try:
            lock.acquire()
        except LockedError:
            self._forget_folder()
            raise
        self._lock = lock

    def _forget_folder(self) -> None:
        """Another run is at work: this one did nothing, and leaves nothing."""
        folder, self._folder = self.folder, None
        folder.close()
        shutil.rmtree(folder.path, ignore_errors=True)

    @property
    def folder(self) -> RunFolder:
        """The run folder; there is one as soon as the plan is made."""
        return _made(self._folder)

    @property
    def clients(self) -> Clients:
        """The ways to the target."""
        return _made(self._clients)

    @property
    def release(self) -> Release:
        """The sha's road to production, and back."""
        return _made(self._release)

    def status(self, text: str) -> None:
        """What is being waited for, for the console."""
        self.console.status(text)

    def running_sha(self) -> str:
        """The version that should be running now: the deployed one if a release is open, else the one from before."""
        return self.plan.new_sha if self.journal.open_entries(TAG_KIND) else self.plan.old_sha

    # -- drills -------------------------------------------------------------------------------------------------

    def begin(self, drill: str) -> Run:
        """A drill starts: its name is stamped on every event from now on."""
        self._drill = self.folder.drill = drill
        self.folder.record("run", "drill", "started")
        return Run(self, drill)

    def end(self, what: str, reason: str = "") -> None:
        """A drill ended: finished, error, interrupted or skipped. Only the first word counts."""
        if not self._drill:
            return
        self._drill = ""
        outcome = Outcome.OK if what in {"finished", "skipped"} else Outcome.UNKNOWN
        self.folder.record("run", "drill", what, outcome=outcome, data={"reason": self.folder.redacted(reason)})

    # -- after the drills ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """Put back, look, judge, write. Signals wait until it is done."""
        if self._closed:
            return
        self._closed = True
        self._interrupts.hold(lambda: self.console.problem("putting things back: please wait for the end"))
        try:
            if self._folder is not None:
                self._put_back()
                self._judge()
        finally:
            self.console.__exit__(None, None, None)
            if self._clients is not None:
                self._clients.close()
            self._interrupts.release()

    def _put_back(self) -> None:
        self.folder.drill = UNDO
        self.console.phase("undo-check")
        begun_s = time.monotonic()
        kept = self._keep()
        ended = replay(self.journal, self._handlers(), later=frozenset({_LEASE_KIND}))
        left = any(undone.how in {"left", "failed"} for _, undone in ended)
        if not left and self._release is not None:
            self._check_undone(self.plan.new_sha if kept else self.plan.old_sha)
        if self._watches is not None:
            self._watches.stop()
        replay(self.journal, self._handlers())
        self.folder.record("run", "phase", "undo-check", start_s=begun_s, end_s=time.monotonic())

    def _keep(self) -> bool:
        """Leave the release where the plan says so; its entry ends as kept, so that no later undo takes it."""
        if self.plan.keep == "never":
            return False
        verdicts = judge_drill(self.folder.facts("release"))
        passed = worst(verdict.result for verdict in verdicts) is Result.PASS
        if self.plan.keep == "on-pass" and not passed:
            return False
        why = "the release passed" if passed else "--on-fail keep"
        entries = self.journal.open_entries(TAG_KIND)
        for entry in entries:
            self.journal.settle(entry, Undone("not-needed", reason=f"{_KEPT}{why}"))
        return bool(entries)

    def _check_undone(self, sha: str) -> None:
        """Look whether all is as it was: the version, every pod, Argo CD at rest. A fact like any other."""
        self.status(f"everything to be as before ({sha})")
        self.folder.record("undo", "Undo/check", "written", data={"object": "the app", "args": {"version": sha}})
        begun_s = time.monotonic()
        how, data = "done", {"version": sha, "reason": f"only {sha} runs, synced and healthy"}
        try:
            self.release.settle(sha, deadline_s=self.plan.target.release.deadline_s)
        except RollproofError as error:
            how, data = "failed", {"reason": f"not as before: {error}"}
        outcome = Outcome.OK if how == "done" else Outcome.FAIL
        self.folder.record(
            "undo", "Undo/check", how, outcome=outcome, start_s=begun_s, end_s=time.monotonic(), data=data
        )

    def _handlers(self) -> Mapping[str, Handler]:
        def give_back(args: Mapping[str, object]) -> Undone:
            if self._lock is None:
                return lease_release(self.clients.kube, args)
            self._lock.release()
            return Undone("done")

        return {**_handlers(self.clients, self.plan.run_id), _LEASE_KIND: give_back}

    def _judge(self) -> None:
        report = judge_run(self.folder)
        write_reports(self.folder, report)
        self.console.verdicts(report, folder=self.folder.path)
        self.folder.close()

    def _busy(self, thread: int | None) -> bool:
        return self._folder is not None and self._folder.recording(thread)


def undo_stored(path: Path, console: LiveConsole, *, target_path: Path | None = None) -> int:
    """Put back what a stored run left open, and judge the run anew. The exit code is about the undo alone."""
    with RunFolder.open_for_undo(path, listener=console.follow) as folder:
        target = folder.plan.target
        loaded = load(target_path) if target_path else LoadedTarget.stored(target)
        folder.redact(secret_values(loaded))
        folder.drill = UNDO
        journal = Journal(FolderStore(path / "undo.jsonl"), folder)
        begun_s = time.monotonic()
        with Clients.of(loaded) as clients:
            handlers = {**_handlers(clients, folder.plan.run_id), _LEASE_KIND: _lease_handler(clients.kube)}
            ended = replay(journal, handlers)
        folder.record("run", "phase", "undo-check", start_s=begun_s, end_s=time.monotonic())
    with suppress(RollproofError), RunFolder.open(path) as folder:  # a damaged timeline cannot be judged any more
        write_reports(folder, judge_run(folder))
    failed = [undone for _, undone in ended if undone.how == "failed"]
    left = [undone for _, undone in ended if undone.how == "left"]
    if failed:
        console.problem(f"{len(failed)} of {len(ended)} changes could not be undone: {failed[0].reason}")
        return 4
    if left:
        console.problem(f"{len(left)} of {len(ended)} changes were left alone: {left[0].reason}", "decide by hand")
        return 3
    console.status(f"{len(ended)} changes undone" if ended else "nothing was left to undo")
    return 0


def _handlers(clients: Clients, run_id: str) -> dict[str, Handler]:
    return {
        **faults.undo_handlers(clients.kube, clients.argo),
        TAG_KIND: lambda args: restore_tag(clients.repo, run_id, args),
    }


def _lease_handler(kube: Kube) -> Handler:
    return lambda args: lease_release(kube, args)

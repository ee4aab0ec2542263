"""Session: one run, from the checks before any change to the reports after the undo.

The order matters: checks, plan on disk, lock, watches; drills; undo, verification of the undo, verdicts, reports.
The undo always runs: after success, failure, an exception, Ctrl-C and SIGTERM; `rollproof undo` runs it after kill -9.
A session must never decide a verdict.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

from rollproof.clients.kube import ApiError
from rollproof.core.commandline import typed
from rollproof.core.event import Outcome
from rollproof.core.journal import LEASE_KIND
from rollproof.core.plan import Plan
from rollproof.core.target import Target
from rollproof.core.verdict import EXIT_UNDO_FAILED, Result, worst
from rollproof.errors import CannotJudgeError, LockedError, RollproofError, UnansweredError
from rollproof.judge.judging import judge_drill, judge_run, write_reports
from rollproof.preflight.checks import Clients, look
from rollproof.preflight.lock import LEASE_NAME, RunLock, lease_release
from rollproof.preflight.planning import Order, check_hours, check_meant, closed_fence, wanted_target
from rollproof.probes.keeping import Keeper
from rollproof.probes.posture import look_at_settings
from rollproof.probes.watches import Watches
from rollproof.release import TAG_KIND, Release
from rollproof.reports.console import LiveConsole
from rollproof.run.context import RunContext
from rollproof.run.environment import clock_pair, gather, pods_ended
from rollproof.run.signals import Interrupts
from rollproof.run.teardown import (
    connect,
    forget_stored,
    handlers,
    look_whether_as_before,
    may_look,
    replay_all,
    sha_before,
)
from rollproof.store import manifest
from rollproof.store.clusterjournal import BothStores, journal_store
from rollproof.store.journal import Entry, Journal, JournalStore, Late, Undone
from rollproof.store.runfolder import UNDO, RunFolder, UnwritableError, new_run_id
from rollproof.target.file import LoadedTarget, load, secret_values
from rollproof.target.lines import noted

__all__ = ["Session", "preview"]

T = TypeVar("T")


def preview(order: Order, loaded: LoadedTarget) -> Plan:
    """The plan of a run that will not happen. Reads only, so that the production fence does not apply."""
    check_meant(order, loaded.target)
    if closed_fence(order, loaded.target):
        order = replace(order, mean_production=loaded.target.name)  # the option that such a run would need
    target = wanted_target(order, loaded.target)
    with Clients.of(loaded) as clients:
        return look(order, target, clients, run_id=new_run_id(order.drills, wall_s=time.time()))


def _made(part: T | None) -> T:
    if part is None:
        raise RuntimeError("the session is not open")
    return part


class Session:
    """One run. `open`, then drills between `begin` and `end`, then `close`, whatever happened."""

    def __init__(self, order: Order, target_path: Path, folder: Path, stream: TextIO) -> None:
        self.console = LiveConsole(stream)
        self._order = order
        self._target_path = target_path
        self._path = folder
        self._interrupts = Interrupts(self._busy)
        self._folder: RunFolder | None = None
        self._lock: RunLock | None = None
        self._store: JournalStore | None = None
        self._watches: Watches | None = None
        self._clients: Clients | None = None
        self._release: Release | None = None
        self._context: RunContext | None = None
        self._drill = ""
        self._lock_lost = False
        self.interrupted = False  # the end was requested: no waits that only later drills need
        self._said = ""  # why the last drill ended, which its caller has told the person
        self._closed = False

    # -- before the drills --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Checks, plan, lock, watches. Until the lock is taken nothing in the cluster is changed."""
        self._interrupts.catch()
        self.console.__enter__()
        self.loaded = load(self._target_path)
        target = wanted_target(self._order, self.loaded.target)
        self.status("preflight")
        check_hours(self._order, target, datetime.now(UTC))
        self._clients = Clients.of(self.loaded)
        self.plan = look(self._order, target, self._clients, run_id=self._path.name)
        environment = gather(self._clients) | {
            "target_file": noted(self._target_path),
            "pods_ended": pods_ended(self._clients.kube, target.cluster.namespace),
        }
        self._folder = RunFolder.create(
            self._path, self.plan, secrets=secret_values(self.loaded), listener=self.console.follow
        )
        self._store = journal_store(self._path, self.plan, self._clients.kube)
        self.journal = Journal(self._store, self._folder, allowed=self.check_lock)
        self._folder.journal = lambda: self.journal.record
        self._folder.write_environment(environment)
        self.console.plan(self.plan)
        if not self._order.read_only:
            self._take_lock(target)
        self._watches = Watches(target, self._clients.kube, self._clients.argo, self._folder)
        self._watches.start()
        if not self._order.read_only:
            self.status("how late the watches are")
            self._watches.calibrate(lease=LEASE_NAME)
        keeper = Keeper(target, self._clients.kube, self._folder, self._watches)
        self._release = connect(
            self.plan, self._clients, self._watches, self._folder, self.journal, self.status, keeper.keep
        )
        self._context = RunContext(
            plan=self.plan, environ=self.loaded.environ, folder=self._folder, journal=self.journal,
            clients=self._clients, watches=self._watches, release=self._release, console=self.console, keeper=keeper,
            check_lock=self.check_lock, finished=lambda: self.end("finished"),
        )  # fmt: skip

    def _take_lock(self, target: Target) -> None:
        namespace = target.cluster.namespace
        lock = RunLock(self.clients.kube, namespace, self.plan.run_id)
        args = {"namespace": namespace, "run_id": self.plan.run_id}
        entry = self.journal.write(LEASE_KIND, f"Lease/{namespace}/{LEASE_NAME}", args)
        try:
            lock.acquire()
        except LockedError:
            self._forget_folder()
            raise
        except UnansweredError:
            self.journal.gave_up(entry)
            raise
        except RollproofError as error:
            if not (isinstance(error, ApiError) and error.status >= 500):  # then it may have been taken all the same
                self.journal.settle(entry, Undone("not-needed", reason=f"it was not taken: {error}"))
            raise
        self._lock = lock
        self.journal.made(entry)

    def _forget_folder(self) -> None:
        """Another run holds the lock: this one has changed nothing, and its folder is removed."""
        folder, self._folder = self.folder, None
        if isinstance(self._store, BothStores):
            with suppress(RollproofError):
                self._store.cluster.delete()
        folder.close()
        shutil.rmtree(folder.path, ignore_errors=True)

    @property
    def folder(self) -> RunFolder:
        """The run folder; it exists as soon as the plan is made."""
        return _made(self._folder)

    @property
    def clients(self) -> Clients:
        """The clients for the target."""
        return _made(self._clients)

    @property
    def context(self) -> RunContext:
        """The context of this run's drills; it exists as soon as the run is open."""
        return _made(self._context)

    def status(self, text: str) -> None:
        """Show on the console what is being waited for."""
        self.console.status(text)

    # -- drills -------------------------------------------------------------------------------------------------

    def begin(self, drill: str) -> RunContext:
        """A drill starts: its name is recorded with every event from now on."""
        self._drill = self.folder.drill = drill
        self.context.keeper.begin()
        self.folder.record("run", "drill", "started", data={"sha": self.context.running_sha()})
        self.folder.record("run", "clock", "read", data=clock_pair())
        check_hours(replace(self._order, drills=(drill,)), self.plan.target, datetime.now(UTC))  # a run may take long
        look_at_settings(self.plan.target, self.clients.kube, self.clients.argo, self.folder)
        return self.context

    def end(self, what: str, reason: str = "") -> None:
        """A drill ended: finished, error, interrupted or skipped. Only the first call counts."""
        if not self._drill:
            return
        self._drill, self._said = "", reason
        self.interrupted |= what == "interrupted"
        outcome = Outcome.OK if what in {"finished", "skipped"} else Outcome.UNKNOWN
        with suppress(UnwritableError):  # then the folder has no end of the drill, and it is judged as unfinished
            self.folder.record("run", "clock", "read", data=clock_pair())
        with suppress(UnwritableError):
            self.folder.record("run", "drill", what, outcome=outcome, data={"reason": self.folder.redacted(reason)})

    def check_lock(self) -> None:
        """LockedError if another run may be changing the target; recorded once, with the time since when."""
        if self._lock is None:
            return
        try:
            self._lock.check()
        except LockedError as error:
            if not self._lock_lost:
                self._lock_lost = True
                self.folder.record(
                    "run", "lock", "lost", outcome=Outcome.UNKNOWN, start_s=self._lock.held_until_s,
                    end_s=time.monotonic(), data={"reason": str(error)},
                )  # fmt: skip
            raise

    # -- after the drills ---------------------------------------------------------------------------------------

    def close(self) -> int:
        """Undo, verify, judge, write reports. Signals are held back until then. A second call does nothing.

        0 if the run has its verdicts in its folder, else the exit code.
        """
        if self._closed:
            return 0
        self._closed = True
        self._interrupts.hold(lambda: self.console.problem("putting things back: please wait for the end"))
        try:
            if self._folder is not None:
                self._put_back()
                return self._judge(self._folder)
            return 0
        except RollproofError as error:  # the record of the load is damaged, so that nothing can be judged
            self.console.problem(str(error), error.hint)
            return EXIT_UNDO_FAILED if self.journal.open_entries() else CannotJudgeError.exit_code
        finally:
            self.console.__exit__(None, None, None)
            if self._folder is not None:
                self._folder.close()
            if self._clients is not None:
                self._clients.close()
            self._interrupts.release()

    def _put_back(self) -> None:
        with suppress(LockedError, UnwritableError):
            self.check_lock()
        self.folder.drill = UNDO
        self.console.phase("undo-check")
        begun_s = time.monotonic()
        look = self._begin_look(kept=self._keep())
        undo = handlers(self.plan, self.clients, self._give_lock_back)
        late = Late(self.plan.target.undo.late_s, quiet_s=time.time(), status=self.status)
        replay_all(self.journal, undo, look=lambda ended: self._look(ended, look), late=late, status=self.status)
        forget_stored(self._store, self.journal)
        self.folder.record("run", "phase", "undo-check", start_s=begun_s, end_s=time.monotonic())

    def _keep(self) -> bool:
        """Keep the release where the plan says so; its journal entry ends as kept, so that no later undo reverts it."""
        if self.plan.keep == "never" or self.folder.unwritable is not None:
            return False
        passed = self._passed("release")
        if self.plan.keep == "on-pass" and not passed:
            return False
        why = "the release passed" if passed else "--on-fail keep"
        entries = self.journal.open_entries(TAG_KIND)
        for entry in entries:
            self.journal.settle(entry, Undone("not-needed", reason=f"kept: {why}", kept=True))
        return bool(entries)

    def _passed(self, drill: str) -> bool:
        try:
            verdicts = judge_drill(self.folder.facts(drill))
        except RollproofError:  # its record is missing or damaged
            return False
        return worst(verdict.result for verdict in verdicts) is Result.PASS

    def _begin_look(self, *, kept: bool) -> Entry | None:
        """The journal entry of the verification, or None if only the lock was taken.

        Then there is nothing to verify: nothing was pushed, so that an env repo that does not answer is no effect of
        this run.
        """
        changed = bool(self.journal.kinds() - {LEASE_KIND}) or self.plan.restart
        if self._release is None or not changed:
            return None
        return self.journal.begin_look(self.plan.new_sha if kept else sha_before(self.plan))

    def _look(self, ended: list[Undone], entry: Entry | None) -> None:
        """Verify that all is as before; not if a change was left alone or could not be undone."""
        try:
            if entry is not None and self._release is not None and may_look(self.journal, entry, ended):
                look_whether_as_before(
                    self.plan, entry, release=self._release, repo=self.clients.repo, journal=self.journal,
                    status=self.status, renew=self._renew,
                )  # fmt: skip
        finally:
            if self._watches is not None:
                self._watches.stop()

    def _renew(self) -> tuple[str, ...]:
        if self._context is None or self._lock_lost:  # another run may be what keeps them from serving
            return ()
        return self._context.renewal().replace_hanging()

    def _give_lock_back(self, args: Mapping[str, object]) -> Undone:
        if self._lock is None:
            return lease_release(self.clients.kube, args)
        return self._lock.release()

    def _judge(self, folder: RunFolder) -> int:
        untold = 0
        report = judge_run(folder)
        try:
            if folder.unwritable is not None:
                raise folder.unwritable  # the timeline is incomplete: no verdicts
            write_reports(folder, report)
            with suppress(OSError):  # the verdicts were shown; without a manifest, only later edits go unnoticed
                manifest.seal(folder.path)
        except (UnwritableError, OSError) as error:
            untold = max(report.exit_code, CannotJudgeError.exit_code)  # the code of a failed undo is higher
            report = replace(report, result=Result.INCONCLUSIVE, exit_code=untold)
            hint = f"when there is room again: {typed('undo', folder.path)}, then {typed('judge', folder.path)}"
            said = "" if str(error) in self._said else f": {error}"
            self.console.problem(f"the run is not whole in its folder, so it proves nothing{said}", hint)
        self.console.verdicts(report, folder=folder.path, written=not untold)
        return untold

    def _busy(self, thread: int | None) -> bool:
        return self._folder is not None and self._folder.recording(thread)

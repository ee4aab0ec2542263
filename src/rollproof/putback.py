"""Putting back: replays the journal, then looks whether all is as it was. At the end of a run, or by `rollproof undo`.

Looking is part of it: an undo that was accepted by git has not yet reached the cluster. What somebody else deployed
after us is left alone and said. The lock is given back last, so that nobody starts in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rollproof import faults
from rollproof.clients.patience import is_away, patiently
from rollproof.clients.repo import EnvRepo
from rollproof.core.event import Outcome, Recorder
from rollproof.core.plan import Plan
from rollproof.core.reasons import LegCause
from rollproof.core.verdict import EXIT_CODES, EXIT_UNDO_FAILED, Result
from rollproof.errors import RollproofError
from rollproof.judging import judge_run, write_reports
from rollproof.preflight import Clients
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.release import TAG_KIND, Release, restore_tag
from rollproof.release.wait import LegFailedError
from rollproof.reports.console import LiveConsole
from rollproof.runfolder import UNDO, RunFolder
from rollproof.safety import RunLock, lease_release
from rollproof.targetfile import LoadedTarget, load, secret_values
from rollproof.undo import FolderStore, Handler, Journal, Undone, replay

__all__ = ["LEASE_KIND", "connect", "handlers", "look_whether_as_before", "replay_all", "undo_stored"]

LEASE_KIND = "lease-release"
_CHECK = "Undo/check"
_REST_S = 240.0  # at least: a sync of ours that fails is tried again, and until that ends Argo CD looks at nothing else
_PATIENCE_S = 60.0  # for an API server or a git server that is away
_AGAIN_S = 0.5
_SLICE_S = 15.0  # between two looks at the repository while the cluster is still on its way


def handlers(clients: Clients, run_id: str, give_back: Handler) -> dict[str, Handler]:
    """Who undoes which kind of entry."""
    return {
        **faults.undo_handlers(clients.kube),
        TAG_KIND: lambda args: restore_tag(clients.repo, run_id, args),
        LEASE_KIND: give_back,
    }


def replay_all(
    journal: Journal, undo: Mapping[str, Handler], *, look: Callable[[list[Undone]], None],
    status: Callable[[str], None] = lambda _: None,
) -> list[Undone]:  # fmt: skip
    """Every open entry, newest first; then `look`; the lock last.

    An API or git server that is away is waited for, a minute in all: a moment's silence must not leave the cluster
    changed.
    """
    until_s = time.monotonic() + _PATIENCE_S

    def patient(kind: str, handler: Handler) -> Handler:
        def undone(args: Mapping[str, Any]) -> Undone:
            status(f"the undo of {kind}")
            return patiently(lambda: handler(args), until_s=until_s)

        return undone

    handlers = {kind: patient(kind, handler) for kind, handler in undo.items()}
    ended = [undone for _, undone in replay(journal, handlers, later=frozenset({LEASE_KIND}))]
    look(ended)
    others = journal.kinds() - {LEASE_KIND}  # what failed was tried for long enough
    return ended + [undone for _, undone in replay(journal, handlers, later=others)]


def look_whether_as_before(
    plan: Plan, *, sha: str, release: Release, repo: EnvRepo, recorder: Recorder, status: Callable[[str], None]
) -> str:
    """Wait until only `sha` runs, synced and healthy; without `sha`, what the overlay says.

    The end is a fact, and is returned: done, left or failed.
    """
    status(f"everything to be as before ({sha or 'what the overlay says'})")
    recorder.record("undo", _CHECK, "written", data={"object": "the app", "args": {"version": sha}})
    begun_s = time.monotonic()
    how, data = _wait_for_rest(release, repo, sha, until_s=begun_s + max(_REST_S, plan.target.release.deadline_s))
    outcome = {"done": Outcome.OK, "left": Outcome.UNKNOWN}.get(how, Outcome.FAIL)
    recorder.record("undo", _CHECK, how, outcome=outcome, start_s=begun_s, end_s=time.monotonic(), data=data)
    return how


def _wait_for_rest(release: Release, repo: EnvRepo, sha: str, *, until_s: float) -> tuple[str, Mapping[str, Any]]:
    away_until_s = min(until_s, time.monotonic() + _PATIENCE_S)
    while True:
        try:
            found = patiently(repo.tag, until_s=away_until_s)
            sha = sha or found
            if found != sha:
                return "left", {"reason": "somebody deployed after us", "expected": sha, "found": found}
            release.settle(sha, deadline_s=max(1.0, min(_SLICE_S, until_s - time.monotonic())))
        except LegFailedError as error:
            if error.cause == LegCause.DEADLINE_EXCEEDED and time.monotonic() < until_s:
                continue
            if why := release.why_unseen(sha):  # git and the Deployment are as before; that it is synced nobody can say
                return "left", {"reason": f"nobody could look: Argo CD cannot compare ({why})"}
            return "failed", {"reason": f"not as before: {error}"}
        except RollproofError as error:
            if is_away(error) and time.monotonic() + _AGAIN_S < away_until_s:
                time.sleep(_AGAIN_S)
                continue
            return "failed", {"reason": f"not as before: {error}"}
        return "done", {"version": sha, "reason": f"only {sha} runs, synced and healthy"}


def connect(
    plan: Plan, clients: Clients, watches: Watches, recorder: Recorder, journal: Journal, status: Callable[[str], None]
) -> Release:
    """The releases of a run."""
    return Release(
        plan, kube=clients.kube, argo=clients.argo, repo=clients.repo, view=watches,
        prover=Prover(plan.target, clients.kube, clients.http, recorder, clients.ways), recorder=recorder,
        journal=journal, status=status,
    )  # fmt: skip


def undo_stored(path: Path, console: LiveConsole, *, target_path: Path | None = None) -> int:
    """Put back what a stored run left open, and judge the run anew. The exit code is about the undo alone."""
    with RunFolder.open_for_undo(path, listener=console.follow) as folder:
        loaded = load(target_path) if target_path else LoadedTarget.stored(folder.plan.target)
        folder.redact(secret_values(loaded))
        folder.drill = UNDO
        begun_s = time.monotonic()
        with Clients.of(loaded) as clients:
            ended = _undo_stored(folder, clients, console)
        folder.record("run", "phase", "undo-check", start_s=begun_s, end_s=time.monotonic())
        with suppress(RollproofError):  # a damaged timeline cannot be judged any more
            judged = RunFolder.open(path)
            write_reports(judged, judge_run(judged))
    return _tell(ended, console)


def _undo_stored(folder: RunFolder, clients: Clients, console: LiveConsole) -> list[Undone]:
    plan = folder.plan
    journal = Journal(FolderStore(folder.path / "undo.jsonl"), folder)
    if journal.open_entries():
        lock = RunLock(clients.kube, plan.target.cluster.namespace, plan.run_id)
        lock.check_undo(run_ended=folder.lock is not None and folder.lock.original)
    tags = {entry.number for entry in journal.open_entries(TAG_KIND)}

    def look(ended: list[Undone]) -> None:
        if not tags or any(undone.how in {"left", "failed"} for undone in ended):
            return
        with Watches(plan.target, clients.kube, clients.argo, folder) as watches:
            release = connect(plan, clients, watches, folder, journal, console.status)
            how = look_whether_as_before(
                plan, sha=plan.old_sha, release=release, repo=clients.repo, recorder=folder, status=console.status
            )
        if how != "done":
            ended.append(Undone(how, reason=f"{_CHECK}: see the timeline"))

    undo = handlers(clients, plan.run_id, lambda args: lease_release(clients.kube, args))
    return replay_all(journal, undo, look=look, status=console.status)


def _tell(ended: list[Undone], console: LiveConsole) -> int:
    failed = [undone for undone in ended if undone.how == "failed"]
    left = [undone for undone in ended if undone.how == "left"]
    if failed:
        console.problem(f"{len(failed)} of {len(ended)} changes could not be undone: {failed[0].reason}")
        return EXIT_UNDO_FAILED
    if left:
        console.problem(f"{len(left)} of {len(ended)} changes were left alone: {left[0].reason}", "decide by hand")
        return EXIT_CODES[Result.INCONCLUSIVE]
    console.status(f"{len(ended)} changes undone" if ended else "nothing was left to undo")
    return EXIT_CODES[Result.PASS]

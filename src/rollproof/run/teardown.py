"""Undo: replays the journal, then verifies that all is as before. At the end of a run, or by `rollproof undo`.

Verification is part of it: an undo that git accepted has not reached the cluster yet. What somebody else deployed
after us is left alone and reported. The lock is released last, so that no other run starts in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rollproof.clients.repo import EnvRepo
from rollproof.clients.retry import is_away, retried
from rollproof.core.commandline import typed
from rollproof.core.counts import many
from rollproof.core.event import Recorder
from rollproof.core.journal import CHECK, LEASE_KIND
from rollproof.core.plan import Plan
from rollproof.core.reasons import StageCause
from rollproof.core.target import Target
from rollproof.core.verdict import EXIT_CODES, EXIT_UNDO_FAILED, Result
from rollproof.errors import InputError, RollproofError
from rollproof.faults.registry import all_faults, changed_kinds, may_leave_pods, undo_handlers
from rollproof.judge.judging import judge_run, write_reports
from rollproof.preflight.checks import Clients
from rollproof.preflight.fences import check_namespace_fence
from rollproof.preflight.lock import LEASE_S, RunLock, lease_release
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.release import TAG_KIND, Release, restore_tag
from rollproof.release.wait import StageFailedError
from rollproof.reports.console import LiveConsole
from rollproof.run.renewal import renewal_of
from rollproof.store import manifest
from rollproof.store.clusterjournal import BothStores, journal_store
from rollproof.store.journal import DEAD_MAN, Entry, Handler, Journal, JournalStore, Late, Undone, replay
from rollproof.store.reading import read_plan
from rollproof.store.runfolder import UNDO, RunFolder
from rollproof.target.file import LoadedTarget, load, secret_values

__all__ = [
    "connect", "forget_stored", "handlers", "is_of_target", "look_whether_as_before", "may_look", "replay_all",
    "sha_before", "undo_stored",
]  # fmt: skip

_REST_S = 240.0  # at least: while a failed sync of ours is retried, Argo CD compares nothing
_SAME = (  # what identifies a target; paths and credentials may differ from machine to machine
    ("cluster", "namespace"), ("cluster", "deployment"), ("cluster", "service"), ("argocd", "application"),
    ("env_repo", "branch"), ("env_repo", "overlay"), ("env_repo", "image"),
)  # fmt: skip
_RENEW_S = 60.0  # for the app to serve again by itself after the last fault was undone
_PATIENCE_S = 60.0  # for an API server or a git server that does not answer
_AGAIN_S = 0.5
_SLICE_S = 15.0  # between two reads of the repository while the cluster is still converging


def handlers(plan: Plan, clients: Clients, give_back: Handler) -> dict[str, Handler]:
    """The handler for each kind of entry. Nothing outside of the fences is changed, whatever the journal says."""

    changed = changed_kinds()

    def fenced(entry: str, handler: Handler) -> Handler:
        def undone(args: Mapping[str, Any]) -> Undone:
            item = args.get("object") or {}
            kind = item.get("kind") or args.get("kind") or ""
            if kind and kind not in changed.get(entry, ()):
                return Undone("failed", reason=f"no run of ours changes a {kind}: it is left as it is")
            check_namespace_fence(plan.target, (item.get("metadata") or args)["namespace"])
            return handler(args)

        return undone

    return {
        **{
            entry: fenced(entry, handler)
            for entry, handler in undo_handlers(clients.kube, plan.target, clients.repo).items()
        },
        TAG_KIND: lambda args: restore_tag(clients.repo, plan.run_id, args),
        LEASE_KIND: fenced(LEASE_KIND, give_back),
    }


def sha_before(plan: Plan) -> str:
    """The version that should run after the undo; "" for what git says: a pipeline's release stays."""
    return plan.old_sha if plan.target.release.mode == "push" else ""


def replay_all(
    journal: Journal, undo: Mapping[str, Handler], *, look: Callable[[list[Undone]], None], late: Late | None = None,
    status: Callable[[str], None] = lambda _: None,
) -> list[Undone]:  # fmt: skip
    """Every open entry, newest first; then the dead-men, if all was undone; then `look`; the lock last.

    An API or git server that does not answer is retried for a minute in all: a short outage must not leave the cluster
    changed.
    """
    late = late or Late()
    until_s = time.monotonic() + _PATIENCE_S

    def patient(kind: str, handler: Handler) -> Handler:
        def undone(args: Mapping[str, Any]) -> Undone:
            status(f"the undo of {kind}")
            waited_s = max(until_s, time.monotonic() + _AGAIN_S)  # after a wait for late entries, at least one attempt
            return retried(lambda: handler(args), until_s=waited_s)

        return undone

    handlers = {kind: patient(kind, handler) for kind, handler in undo.items()}
    ended = [undone for _, undone in replay(journal, handlers, later=frozenset({LEASE_KIND, DEAD_MAN}), late=late)]
    if all(undone.how != "failed" for undone in ended):  # else a dead-man may be the only undo left
        ended += [undone for _, undone in replay(journal, handlers, entries=journal.open_entries(DEAD_MAN), late=late)]
    look(ended)
    others = journal.kinds() - {LEASE_KIND}  # what failed was retried for long enough
    return ended + [undone for _, undone in replay(journal, handlers, later=others, late=late)]


def may_look(journal: Journal, entry: Entry, ended: list[Undone]) -> bool:
    """Whether there is anything to verify; not where a change was left alone or its undo failed."""
    if any(undone.how == "failed" for undone in ended):
        return False  # the verification stays open, with what failed
    if any(undone.how == "left" for undone in ended):
        journal.settle(entry, Undone("not-needed", reason="something was left alone, so it is not as before"))
        return False
    return True


def look_whether_as_before(
    plan: Plan, entry: Entry, *, release: Release, repo: EnvRepo, journal: Journal, status: Callable[[str], None],
    renew: Callable[[], tuple[str, ...]] = tuple,
) -> Undone:  # fmt: skip
    """Wait until only the version that the entry names runs, synced and healthy; without one, what the overlay says.

    renew: replaces pods that hang, and says which; asked once, if it takes long after a fault that traffic could feel.
    The result is in the journal, and is returned: done, left or failed.
    """
    sha = str(entry.args.get("version", ""))
    status(f"everything to be as before ({sha or 'what the overlay says'})")
    begun_s = time.monotonic()
    until_s = begun_s + max(_REST_S, plan.target.release.deadline_s)
    first_s = min(until_s, begun_s + _RENEW_S) if _may_have_left_pods(journal) else until_s
    how, data = _wait_for_rest(release, repo, sha, until_s=first_s)
    if how == "failed" and first_s < until_s:
        status("pods that hang to be replaced")
        replaced = renew()
        how, data = _wait_for_rest(release, repo, sha, until_s=until_s)
        if replaced:
            words = f"{data['reason']}; {', '.join(replaced)} did not serve any more, and had to be replaced"
            data = {**data, "reason": words}
    undone = Undone(how, str(data["reason"]), data.get("expected"), data.get("found"))
    journal.settle(entry, undone, start_s=begun_s)
    return undone


def _may_have_left_pods(journal: Journal) -> bool:
    """Whether this run has made a fault that may leave pods behind."""
    such = {one.journal_kind or name for name, one in all_faults().items() if may_leave_pods(one)}
    return bool(such & journal.kinds())


def _wait_for_rest(release: Release, repo: EnvRepo, sha: str, *, until_s: float) -> tuple[str, Mapping[str, Any]]:
    away_until_s = min(until_s, time.monotonic() + _PATIENCE_S)
    while True:
        try:
            found = retried(repo.tag, until_s=away_until_s)
            sha = sha or found
            if found != sha:
                return _deployed_after_us(sha, found)
            release.settle(sha, deadline_s=max(1.0, min(_SLICE_S, until_s - time.monotonic())))
        except StageFailedError as error:
            if error.cause == StageCause.DEADLINE_EXCEEDED and time.monotonic() < until_s:
                continue
            if (found := _tag_now(repo)) not in ("", sha):  # since the last slice began
                return _deployed_after_us(sha, found)
            if why := release.why_unseen(sha):  # git and the Deployment are as before; whether it is synced is unknown
                return "left", {"reason": f"nobody could look: Argo CD cannot compare ({why})"}
            return "failed", {"reason": f"not as before: {error}"}
        except RollproofError as error:
            if is_away(error) and time.monotonic() + _AGAIN_S < away_until_s:
                time.sleep(_AGAIN_S)
                continue
            return "failed", {"reason": f"not as before: {error}"}
        return "done", {"reason": f"only {sha} runs, synced and healthy"}


def _deployed_after_us(sha: str, found: str) -> tuple[str, Mapping[str, Any]]:
    return "left", {"reason": "somebody deployed after us", "expected": sha, "found": found}


def _tag_now(repo: EnvRepo) -> str:
    """The overlay's tag; "" where the git server does not answer."""
    try:
        return repo.tag()
    except RollproofError:
        return ""


def connect(
    plan: Plan, clients: Clients, watches: Watches, recorder: Recorder, journal: Journal,
    status: Callable[[str], None], keep: Callable[[float], None] = lambda _: None,
) -> Release:  # fmt: skip
    """The releases of a run, on open clients and watches."""
    return Release(
        plan, kube=clients.kube, argo=clients.argo, repo=clients.repo, view=watches,
        prover=Prover(plan.target, clients.kube, clients.http, recorder, clients.ways), recorder=recorder,
        journal=journal, status=status, keep=keep,
    )  # fmt: skip


def undo_stored(path: Path, console: LiveConsole, *, target_path: Path | None = None) -> int:
    """Undo what a stored run left open, and judge the run again. The exit code is about the undo alone."""
    with RunFolder.open_for_undo(path, listener=console.follow) as folder:
        loaded = _trusted(folder, target_path)
        folder.plan = replace(folder.plan, target=loaded.target)
        folder.redact(secret_values(loaded))
        folder.drill = UNDO
        begun_s = time.monotonic()
        with Clients.of(loaded) as clients:
            store = journal_store(folder.path, folder.plan, clients.kube)
            journal = Journal(store, folder)
            folder.journal = lambda: journal.record
            damage = journal.tell_missing(folder.events())
            open_before = journal.open_entries()
            ended = _undo_stored(folder, journal, clients, console)
            forget_stored(store, journal)
        folder.record("run", "phase", "undo-check", start_s=begun_s, end_s=time.monotonic())
        with suppress(RollproofError, OSError):  # a damaged timeline cannot be judged any more
            judged = RunFolder.open(path)
            write_reports(judged, judge_run(judged))
            manifest.seal(path)
    return _tell(ended, _ended_well(journal, open_before), damage, console)


def forget_stored(store: JournalStore | None, journal: Journal) -> None:
    """Take the journal out of the cluster when nothing of it is left to undo; one that stays does no harm."""
    if isinstance(store, BothStores) and not journal.open_entries():
        with suppress(RollproofError):
            store.cluster.delete()


def _trusted(folder: RunFolder, target_path: Path | None) -> LoadedTarget:
    """The target to act on. What a folder of unknown origin says about clusters, commands and secrets is not followed.

    InputError if the folder is not from this machine and no target file is named, or one of another target.
    """
    stored = folder.plan.target
    if target_path is None:
        if folder.made_here():
            return LoadedTarget.stored(stored)
        message = f"{folder.path} was not made on this machine by you, or its plan was changed since"
        hint = f"if it is yours, name its target file: {typed('undo', folder.path, '--target', 'FILE')}"
        raise InputError(f"{message}: the target in it is not trusted", hint)
    loaded = load(target_path)
    for place, there, here in _differences(stored, loaded.target):
        message = f"the run was made on another target than {target_path}: {place} is {there!r} in the run"
        raise InputError(f"{message} and {here!r} in the file", "name the target file of that run")
    return loaded


def is_of_target(folder: Path, target: Target) -> bool:
    """Whether the run in the folder was made on that target. RunFolderError if its plan cannot be read."""
    return not any(_differences(read_plan(folder).target, target))


def _differences(one: Target, other: Target) -> Iterator[tuple[str, Any, Any]]:
    """In what two targets are not the same one: the setting, and its values."""
    for section, name in _SAME:
        values = [getattr(getattr(target, section), name) for target in (one, other)]
        if values[0] != values[1]:
            yield f"{section}.{name}", values[0], values[1]


def _undo_stored(folder: RunFolder, journal: Journal, clients: Clients, console: LiveConsole) -> list[Undone]:
    plan = folder.plan
    if journal.open_entries():
        lock = RunLock(clients.kube, plan.target.cluster.namespace, plan.run_id)
        lock.check_undo(run_ended=folder.lock is not None and folder.lock.original)
    ours = TAG_KIND in journal.kinds() or plan.restart
    entry = journal.begin_look(sha_before(plan) if ours else "") if _owes_look(plan, journal) else None

    def look(ended: list[Undone]) -> None:
        if entry is None or not may_look(journal, entry, ended):
            return
        with Watches(plan.target, clients.kube, clients.argo, folder) as watches:
            release = connect(plan, clients, watches, folder, journal, console.status)
            undone = look_whether_as_before(
                plan, entry, release=release, repo=clients.repo, journal=journal, status=console.status,
                renew=renewal_of(plan.target, clients, watches, folder).replace_hanging,
            )  # fmt: skip
        if undone.how != "done":
            ended.append(undone)

    undo = handlers(plan, clients, lambda args: lease_release(clients.kube, args))
    late = Late(plan.target.undo.late_s, quiet_s=_last_sign_s(folder), status=console.status)
    return replay_all(journal, undo, look=look, late=late, status=console.status)


def _owes_look(plan: Plan, journal: Journal) -> bool:
    """Whether the run, or an undo before this one, ended before it had verified that all is as before.

    The lock is released last, so that an open entry exists until then.
    """
    entries = journal.record.entries
    look = entries[-1] if entries and entries[-1].kind == CHECK else None
    if look is not None and look.state == "left" and look.expected is None and look.found is None:
        return True  # verification was not possible then
    looked = look is not None and look.state != "open"
    changed = bool(journal.kinds() - {LEASE_KIND}) or plan.restart
    return bool(journal.open_entries()) and changed and not looked


def _last_sign_s(folder: RunFolder) -> float:
    """Until when the run may have sent something: it renewed its lock more often than a lease lasts (s, wall clock)."""
    now_s = time.time()
    with suppress(ValueError, IndexError, OverflowError):
        return min(now_s, datetime.fromisoformat(folder.events()[-1].wall).timestamp() + LEASE_S)
    return now_s


def _ended_well(journal: Journal, before: Sequence[Entry]) -> int:
    """How many changes of the target that were open before have been put back."""
    return sum(1 for entry in before if entry.is_change and journal.current(entry).state in ("done", "not-needed"))


def _tell(ended: list[Undone], changes: int, damage: Sequence[str], console: LiveConsole) -> int:
    failed = [undone for undone in ended if undone.how == "failed"]
    left = [undone for undone in ended if undone.how == "left"]
    all_of_it = many(changes + len(failed) + len(left), "change")
    if damage:
        console.problem("; ".join(damage), "look at undo.jsonl by hand: it says what was changed")
    if damage and not failed:
        return EXIT_UNDO_FAILED
    if failed:
        console.problem(f"{len(failed)} of {all_of_it} could not be undone: {failed[0].reason}")
        return EXIT_UNDO_FAILED
    if left:
        console.problem(f"{len(left)} of {all_of_it} left alone: {left[0].reason}", "decide by hand")
        return EXIT_CODES[Result.INCONCLUSIVE]
    console.status(f"{many(changes, 'change')} undone" if changes else "nothing was left to undo")
    return EXIT_CODES[Result.PASS]

"""The lock that keeps two runs apart: a Lease in the app's namespace, held while the run lasts."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.errors import LockedError, RollproofError
from rollproof.store.journal import Undone

__all__ = ["LEASE_NAME", "LEASE_S", "RunLock", "lease_release"]

LEASE_NAME = "rollproof"
_TRIES = 5
LEASE_S = 60  # how long a lock holds without a renewal


def _micro(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True)
class RunLock:
    """One run per target: a Lease in the app's namespace, renewed while the run lives, gone after it.

    A holder that stopped renewing for 60 s is dead and loses the lock. The Lease is created and replaced with its
    resourceVersion, so that of two runs at the same moment exactly one wins. Its times are of the API server's clock:
    a machine whose own is a minute off would take a live run for dead, or be taken for it.
    """

    kube: Kube
    namespace: str
    run_id: str
    lease_s: int = LEASE_S
    _stop: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _renewing: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _lost_to: str = field(default="", init=False, repr=False)
    held_until_s: float = field(default=0.0, init=False)  # CLOCK_MONOTONIC of the last moment when it surely was ours

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.kube.wall_s(), UTC)

    @property
    def holder(self) -> str:
        """Who we are, for the person who meets a held lock."""
        return f"{self.run_id} on {socket.gethostname()} (pid {os.getpid()})"

    def acquire(self) -> None:
        """Take the lock or raise LockedError with the holder."""
        asked_s = time.monotonic()
        found = self.kube.find("Lease", self.namespace, LEASE_NAME)
        try:
            if found is None:
                self.kube.create("Lease", self.namespace, self._lease({}))
            else:
                self._refuse_if_alive(found)
                self.kube.replace("Lease", self.namespace, LEASE_NAME, self._lease(found["metadata"]))
        except ApiError as error:
            if error.reason in ("AlreadyExists", "Conflict"):
                raise LockedError("another run took this target at the same moment", "wait for it to end") from None
            raise
        self.held_until_s = asked_s
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def check_free(self) -> None:
        """LockedError if another run holds it now. Takes nothing."""
        found = self.kube.find("Lease", self.namespace, LEASE_NAME)
        if found is not None:
            self._refuse_if_alive(found)

    def check_undo(self, *, run_ended: bool) -> None:
        """LockedError while a run is at work here: another one, or the very run that is to be undone.

        `run_ended`: the process of this run is known to be gone (its folder's lock was free), so that an undo right
        after kill -9 need not wait. A process id would not tell: it may be another one's in another container.
        """
        found = self.kube.find("Lease", self.namespace, LEASE_NAME)
        holder = str(((found or {}).get("spec") or {}).get("holderIdentity", ""))
        if found is None or (run_ended and holder.startswith(f"{self.run_id} ")):
            return
        self._refuse_if_alive(found)

    def check(self) -> None:
        """LockedError if the lock was lost since: what was seen from `held_until_s` on may be another run's doing.

        It asks; where the API server does not answer, the lock counts as ours for as long as the lease runs.
        """
        if not self._lost_to:
            try:
                self._renew_once()
            except RollproofError as error:
                silent_s = time.monotonic() - self.held_until_s
                if silent_s > self.lease_s:
                    self._lost_to = f"nobody knows whom: it could not be renewed for {silent_s:.0f} s ({error})"
        if self._lost_to:
            message = f"the lock on this target was lost while the run was under way, to {self._lost_to}"
            raise LockedError(message, "run again when nobody else is at work on this target")

    def release(self) -> Undone:
        """Give the lock back; a lock that is not ours any more is left alone."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        return lease_release(self.kube, {"namespace": self.namespace, "run_id": self.run_id})

    def _refuse_if_alive(self, found: Object) -> None:
        spec: Mapping[str, Any] = found.get("spec") or {}
        renewed = spec.get("renewTime")
        if not renewed or not spec.get("holderIdentity"):
            return
        moment = datetime.fromisoformat(str(renewed).replace("Z", "+00:00"))
        left = moment + timedelta(seconds=int(spec.get("leaseDurationSeconds", LEASE_S))) - self._now()
        if left.total_seconds() > 0:
            message = f"another run holds this target: {spec['holderIdentity']}"
            hint = f"wait for it, or, if it is dead, for {left.total_seconds():.0f} s until its lease ends"
            raise LockedError(message, hint)

    def _lease(self, metadata: Mapping[str, Any]) -> Object:
        now = _micro(self._now())
        kept = {key: metadata[key] for key in ("resourceVersion", "uid") if key in metadata}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE_NAME, "namespace": self.namespace, **kept},
            "spec": {
                "holderIdentity": self.holder, "leaseDurationSeconds": self.lease_s, "acquireTime": now,
                "renewTime": now,
            },
        }  # fmt: skip

    def _renew(self) -> None:
        while not self._stop.wait(self.lease_s / 3):
            try:
                self._renew_once()
            except RollproofError:
                continue  # an API server that is away for a moment must not end the run; the lease outlives it

    def _renew_once(self) -> None:
        """Renew our lease; one that is somebody else's now is theirs: note it, and never touch it again."""
        with self._renewing:
            asked_s = time.monotonic()
            found = self.kube.find("Lease", self.namespace, LEASE_NAME)
            spec: Mapping[str, Any] = (found or {}).get("spec") or {}
            if found is None or spec.get("holderIdentity") != self.holder:
                self._lost_to = str(spec.get("holderIdentity") or "nobody: it was deleted")
                self._stop.set()
                return
            self.held_until_s = asked_s
            found["spec"]["renewTime"] = _micro(self._now())
            self.kube.replace("Lease", self.namespace, LEASE_NAME, found)


def lease_release(kube: Kube, args: Mapping[str, Any]) -> Undone:
    """Delete the Lease if this run still holds it. Also the undo of a run that was killed."""
    namespace, run_id = str(args["namespace"]), str(args["run_id"])
    for _ in range(_TRIES):
        found = kube.find("Lease", namespace, LEASE_NAME)
        if found is None:
            return Undone("not-needed", reason="no lease is held")
        holder = str((found.get("spec") or {}).get("holderIdentity", ""))
        if not holder.startswith(f"{run_id} "):
            return Undone("not-needed", reason=f"held by {holder}")
        metadata = found["metadata"]
        try:  # the version too: whoever takes over a lease that has ended writes into the same object
            kube.delete(
                "Lease", namespace, LEASE_NAME, uid=metadata["uid"], resource_version=metadata["resourceVersion"]
            )
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            continue
        return Undone("done")
    return Undone("failed", reason=f"the lease changed {_TRIES} times while it was being given back")

"""LoadSession: the load of one drill, from self-test to record. Whatever happens, no process is left behind."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rollproof.core.abort import LaneCount
from rollproof.core.event import Outcome, Recorder
from rollproof.core.requests import RequestLog
from rollproof.core.target import App, Control, Traffic
from rollproof.loadgen.child import Child, LoadError
from rollproof.loadgen.code import script
from rollproof.loadgen.record import read_record
from rollproof.loadgen.selftest import self_test
from rollproof.loadgen.settings import session_settings

__all__ = ["LiveCounts", "LoadSession"]

_START_S = 60.0
_FLUSH_S = 60.0  # writing the record and locust's report after the last outcome


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What the generator had counted by then, lane by lane; `at_ns` is its clock (CLOCK_MONOTONIC)."""

    at_ns: int
    lanes: Mapping[str, LaneCount]


class LoadSession:
    """Use as a context manager: `self_test()`, `start()`, `progress()`, `stop()`.

    The generator writes `requests-<drill>.npz` and `locust-<drill>.html` into `folder` by itself, so that a harness
    that dies costs no data. `environ` holds the variables that the target's `*_env` fields name. Call `start` from a
    thread that lives as long as the load. `engine` is the script to run; tests put a lying one here.
    """

    def __init__(
        self, app: App, traffic: Traffic, control: Control | None, recorder: Recorder, folder: Path, *,
        drill: str = "zero-downtime", environ: Mapping[str, str] | None = None, engine: Path | None = None,
    ) -> None:  # fmt: skip
        self.request_id_prefix = f"rp{secrets.token_hex(4)}"
        self._app, self._traffic, self._control = app, traffic, control
        self._recorder = recorder
        self._record = folder / f"requests-{drill}.npz"
        self._html = folder / f"locust-{drill}.html"
        self._environ = os.environ if environ is None else environ
        self._engine = engine or script("engine.py")
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The generator's process id while it runs."""
        return self._child.pid if self._child else None

    def self_test(self) -> None:
        """Prove that this generator hides nothing. The result is a fact; LoadError if it did not tell the truth."""
        begun_s = time.monotonic()
        result = self_test(self._engine)
        self._recorder.record(
            "load", "Load", "self-test", outcome=Outcome.OK if result.passed else Outcome.UNKNOWN, start_s=begun_s,
            end_s=time.monotonic(),
            data={"classes": {k: list(v) for k, v in result.classes.items()}, "passed": result.passed,
                  "why": result.why},
        )  # fmt: skip
        if not result.passed:
            message = f"the load generator failed its self-test, so nothing is done under its load: {result.why}"
            raise LoadError(message, "repeat the drill on a quieter machine; if it fails again, please report it")

    def start(self) -> None:
        """Start the load and wait until its schedule has begun. LoadError if it cannot."""
        if self._child is not None:
            raise LoadError("the load is already running")
        settings = session_settings(
            self._app, self._traffic, self._control, self._environ, record=self._record, html=self._html,
            request_id_prefix=self.request_id_prefix, seed=secrets.randbits(31),
        )  # fmt: skip
        self._child = Child(self._engine)
        self._child.tell(settings.as_json())
        started = self._child.wait("started", timeout_s=_START_S)
        data = {
            "start_ns": started["start_ns"],
            "lanes": [lane.name for lane in settings.lanes],
            "rate_per_s": self._traffic.rate_per_s,
            "scheduling": started["scheduling"],
        }
        self._recorder.record("load", "Load", "started", start_s=started["start_ns"] / 1e9, data=data)

    def progress(self) -> tuple[int, int]:
        """Requests and failures so far (at most a second old). LoadError if the generator has died."""
        child = self._running()
        newest = child.newest("progress") or {"sent": 0, "failed": 0}
        if child.ended and child.newest("done") is None:
            child.wait("done", timeout_s=0.0)  # raises with the child's last words
        return newest["sent"], newest["failed"]

    def live(self) -> LiveCounts:
        """Each lane so far (at most a second old); nothing while the generator has told nothing."""
        newest = self._running().newest("progress") or {}
        lanes = {str(name): LaneCount(**lane) for name, lane in newest.get("lanes", {}).items()}
        return LiveCounts(int(newest.get("at_ns", 0)), lanes)

    def stop(self) -> RequestLog:
        """End the load, wait for the requests in flight, and return the record."""
        child = self._running()
        child.tell({"stop": True})
        child.wait("done", timeout_s=self._traffic.timeout_s + _FLUSH_S)
        self.close()
        log = read_record(self._record)
        failures = int((log.rows["outcome"] != 0).sum())
        data = {"requests": len(log.rows), "failures": failures}
        self._recorder.record("load", "Load", "stopped", data=data)
        return log

    def close(self) -> None:
        """End the generator's process, if it runs. May be called again."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def __enter__(self) -> LoadSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running(self) -> Child:
        if self._child is None:
            raise LoadError("the load is not running")
        return self._child

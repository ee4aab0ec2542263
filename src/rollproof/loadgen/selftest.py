"""The self-test of the generator: a known number of failures is caused, and exactly that number must be reported.

A client library that retries in secret reports nothing where requests were lost (docs/measurement.md 4). So a
server fails in each mode k times, in random order, and the generator must report exactly k of each and nothing else;
an outage of known length must lie within the bounds that are computed for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rollproof.clients.tempfolder import temporary
from rollproof.core.intervals import outages
from rollproof.core.loadsettings import Lane, Settings
from rollproof.core.requests import RequestLog
from rollproof.loadgen.child import Child
from rollproof.loadgen.code import script
from rollproof.loadgen.record import read_record

__all__ = ["FAILURE_MODES", "SelfTest", "self_test"]

# The fault server's failure mode → the outcome that an honest client reports. Those with "" are odd, but good answers.
FAILURE_MODES: Mapping[str, str] = {
    "reset-reused": "read.ECONNRESET", "close-reused": "read.eof", "reset": "read.ECONNRESET", "close": "read.eof",
    "cut-length": "read.truncated", "cut-chunk": "read.truncated", "cut-reset": "read.truncated",
    "silence": "read.timeout", "trickle": "read.timeout", "garbage": "read.malformed", "bad-length": "read.malformed",
    "bad-chunk": "read.malformed", "wrong-body": "body.wrong", "http-500": "http.500", "http-502": "http.502",
    "http-503": "http.503", "http-504": "http.504", "http-404": "http.404", "http-403": "http.403",
    "http-429": "http.429", "http-301": "http.301",
    "no-content": "", "chunked": "", "until-close": "", "interim": "", "close-when-idle": "", "slow-headers": "",
}  # fmt: skip
_TIMES = 2
_EVERY = 2  # every second request is served well, so that a secret retry would succeed and hide the failure
_RATE_PER_S = 300.0
_TIMEOUT_S = 1.0
_WINDOW = {"at": 0.1, "for": 0.05, "mode": "http-503"}
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class SelfTest:
    """`classes` maps an outcome to (expected, reported); `why` says what did not fit, "" if all did.

    `late`: nothing did not fit but time-outs that nobody had ordered, as of a machine that stood still for a moment.
    """

    classes: Mapping[str, tuple[int, int]]
    why: str
    late: bool = False

    @property
    def passed(self) -> bool:
        """Whether the generator told the truth."""
        return not self.why


def self_test(engine: Path | None = None) -> SelfTest:
    """Run the generator against the fault server (about 3 s). LoadError if either could not run.

    Once more where the first was only late: a generator that hides failures reports too few, and is not asked again.
    """
    first = _once(engine)
    return _once(engine) if first.late else first


def _once(engine: Path | None) -> SelfTest:
    with temporary("rollproof-selftest-") as folder:
        record = folder / "record.npz"
        with Child(script("faultserver.py")) as server, Child(engine or script("engine.py")) as generator:
            server.wait("ready", timeout_s=_PATIENCE_S)
            server.tell({"failures": dict.fromkeys(FAILURE_MODES, _TIMES), "every": _EVERY})
            generator.tell(_settings(server, record).as_json())
            server.wait("inflicted", timeout_s=_PATIENCE_S)
            server.tell({"windows": [_WINDOW]})
            server.wait("windows", timeout_s=_PATIENCE_S)
            generator.tell({"stop": True})
            generator.wait("done", timeout_s=_PATIENCE_S)
            truth = {key: server.newest(key) for key in ("inflicted", "start_ns", "end_ns", "victims")}
        return _compare(read_record(record), truth)


def _settings(server: Child, record: Path) -> Settings:
    get = Lane(
        name="keepalive-get", share=5, url=f"http://127.0.0.1:{server.newest('ready')}/?self=test", version="expected"
    )
    refused, swallowed = (f"http://127.0.0.1:{server.newest(port)}/" for port in ("refusing", "swallowing"))
    return Settings(
        lanes=(
            get,
            replace(get, name="keepalive-post", method="POST", share=2),
            replace(get, name="new-get", new_connection=True, share=2),
            Lane(name="refused", share=1, url=refused),
            Lane(name="swallowed", concurrency=1, url=swallowed),
        ),
        rate_per_s=_RATE_PER_S,
        timeout_s=_TIMEOUT_S,
        max_duration_s=_PATIENCE_S,
        record=str(record),
        version_header="X-Version",
    )


def _compare(log: RequestLog, truth: Mapping[str, Any]) -> SelfTest:
    expected: Counter[str] = Counter({"http.503": truth["victims"]})
    for mode, times in truth["inflicted"].items():
        if FAILURE_MODES[mode]:
            expected[FAILURE_MODES[mode]] += times
    for lane, outcome in (("refused", "connect.ECONNREFUSED"), ("swallowed", "connect.timeout")):
        expected[outcome] += int((log.rows["lane"] == log.lanes.index(lane)).sum())
    counts = np.bincount(log.rows["outcome"], minlength=len(log.outcomes))
    reported = {name: int(counts[i]) for i, name in enumerate(log.outcomes) if name}
    names = sorted({*expected, *reported})
    classes = {name: (expected[name], reported.get(name, 0)) for name in names}
    wrong = [f"{name}: {k} done, {n} reported" for name, (k, n) in classes.items() if k != n]
    if log.engine.locust_requests != len(log.rows):
        wrong.append(f"locust counted {log.engine.locust_requests} of {len(log.rows)} requests")
    if log.engine.unfinished:
        wrong.append(f"{log.engine.unfinished} attempts got no outcome")
    wrong += _window_missed(log, truth)
    return SelfTest(classes, "; ".join(wrong), late=_only_late(classes, wrong))


def _only_late(classes: Mapping[str, tuple[int, int]], wrong: Sequence[str]) -> bool:
    """Whether all that did not fit is time-outs beyond those that were ordered."""
    late = sum(k < n and name.endswith(".timeout") for name, (k, n) in classes.items())
    return bool(wrong) and late == len(wrong)


def _window_missed(log: RequestLog, truth: Mapping[str, Any]) -> list[str]:
    """The outage of known length must lie within the bounds of what was found on the busiest lane.

    On a starved machine the server may have met no request of that lane in its window; then there is nothing to find.
    """
    start_ns, end_ns = truth["start_ns"], truth["end_ns"]
    everything = (start_ns - _NEAR_NS, end_ns + _NEAR_NS)
    found = [one for one in outages(log, window_ns=everything) if one.lane == "keepalive-get"]
    near = [one for one in found if one.begins_ns[1] >= start_ns and one.begins_ns[0] <= end_ns]
    if not near:
        return []
    begun_ns, over_ns = min(one.begins_ns[0] for one in near), max(one.ends_ns[1] for one in near)
    if begun_ns <= start_ns + _SLACK_NS and end_ns <= over_ns + _SLACK_NS:
        return []
    length_ms, found_ms = (end_ns - start_ns) / 1e6, (over_ns - begun_ns) / 1e6
    return [f"an outage of {length_ms:.0f} ms was found as one of at most {found_ms:.0f} ms"]


_NEAR_NS = 100_000_000
_SLACK_NS = 10_000_000  # a starved server fails a little later than it says

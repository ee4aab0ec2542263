"""Derive the histories that a lab does not produce by itself, each from a recorded run and one change: inconclusive
ones, and those of the rules for traffic, which need failures and delays at chosen moments.

usage: python tests/histories/derive.py     (writes the folders anew; read the diff before you commit)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rollproof.core.causecodes import CauseCode

HERE = Path(__file__).resolve().parent
Event = dict[str, Any]


def only_rollback(events: list[Event]) -> list[Event]:
    """The rollback of a run of all, killed right after the sync: nobody saw the rest; there is no request log."""
    kept = [event for event in events if event["drill"] in ("", "rollback", "undo")]
    after = ("rolled-out", "old-gone", "proven")
    kept = [event for event in kept if not (event["source"] == "rollback" and event["what"] in after)]
    return [event for event in kept if event["source"] not in ("proof", "load")]


def somebody_else_changed(events: list[Event]) -> list[Event]:
    """The last undo found a newer change and left it."""
    last = [e for e in events if e["source"] == "undo" and e["what"] in ("done", "not-needed")][-1]
    last.update(what="left", outcome="unknown")
    last["data"].update(expected="ours", found="theirs", reason="changed by somebody else")
    return events


def plain_auto_sync(events: list[Event]) -> list[Event]:
    """Restored, but the operation was no self-heal: the count did not grow (docs/argocd.md 1.7)."""
    for event in events:
        if event["source"] == "drift" and event["what"] == "after":
            event["data"]["attempts"] = 0
    return events


def lossy_watch(events: list[Event]) -> list[Event]:
    """The watch of pods was away for 20 s, and things had changed when it came back."""
    first = next(event for event in events if event["source"] == "watch")
    gap = {
        **first, "subject": "Watch/Pod", "what": "gap", "outcome": "unknown", "end_s": first["start_s"] + 20,
        "data": {"lost": True, "reason": "the API server was away"},
    }  # fmt: skip
    return [event for old in events for event in ((old, gap) if old is first else (old,))]


CASES: dict[str, tuple[str, tuple[str, ...], Callable[[list[Event]], list[Event]], dict[str, list[str]]]] = {
    "rollback-not-followed": ("good/all", ("rollback",), only_rollback, {"rollback": ["INCONCLUSIVE"]}),
    "somebody-else-changed": ("good/drift", ("drift",), somebody_else_changed, {"undo": ["INCONCLUSIVE"]}),
    "auto-sync-not-self-heal": ("good/drift", ("drift",), plain_auto_sync, {"drift": ["INCONCLUSIVE"]}),
    "watch-lost-facts": ("good/drift", ("drift",), lossy_watch, {"watches": ["INCONCLUSIVE"]}),
}


def _facts(source: str) -> tuple[dict[str, Any], list[Event]]:
    """The plan and the events of a recorded run."""
    folder = HERE / source
    lines = (folder / "timeline.jsonl").read_text().splitlines()
    return json.loads((folder / "plan.json").read_text()), [json.loads(line) for line in lines]


def _write(
    name: str, source: str, plan: dict[str, Any], events: Iterable[Event], *,
    why: str | None, must: dict[str, list[str]], load: Load | None = None, cause: str = "",
) -> None:  # fmt: skip
    """Replace the folder of one case: its facts, numbered again, and expected.json. `why`: the change's docstring."""
    case = HERE / name
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir(parents=True)
    (case / "plan.json").write_text(json.dumps(plan, indent=1) + "\n")
    shutil.copy(HERE / source / "environment.json", case)
    lines = [json.dumps({**event, "seq": number}) for number, event in enumerate(events, 1)]
    (case / "timeline.jsonl").write_text("\n".join(lines) + "\n")
    if load is not None:
        load.write(case / load.path.name)
    expected: dict[str, Any] = {"origin": f"derived from {source}", "why": " ".join((why or "").split()), "must": must}
    if cause := cause or FIRST.get(name, ""):
        expected["cause"] = cause
    (case / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def _only(events: Iterable[Event], source: str, what: str) -> Event:
    """The one event of that source and word."""
    (event,) = (one for one in events if (one["source"], one["what"]) == (source, what))
    return event


def derive(name: str) -> None:
    """Write one case: the source's facts with one change; expected.json holds what that change must lead to."""
    source, drills, change, must = CASES[name]
    plan, events = _facts(source)
    _write(
        f"inconclusive/{name}", source, {**plan, "drills": list(drills)}, change(events), why=change.__doc__, must=must
    )


class Load:
    """The request log of a recorded run, to be changed at points of its window: 0 the act begins, 1 the window ends."""

    lanes = ("keepalive-get", "new-get", "keepalive-post", "control", "slow")

    def __init__(self, path: Path, begin_ns: int, end_ns: int) -> None:
        self.path = path
        with np.load(path) as packed:
            self.rows, self.late_ns, self.meta = (
                packed["rows"].copy(),
                packed["late_ns"],
                json.loads(str(packed["meta"])),
            )
        assert tuple(self.meta["lanes"]) == self.lanes
        self.begin_ns, self.end_ns = begin_ns, end_ns

    def row(self, at: float, lane: str = "keepalive-get") -> int:
        """The first request of the lane sent at or after that point; below 0: before the act."""
        moment = self.begin_ns + int(at * (self.end_ns - self.begin_ns))
        mine = np.flatnonzero(self.rows["lane"] == self.lanes.index(lane))
        return int(mine[np.searchsorted(self.rows["send_ns"][mine], moment)])

    def lose(self, *rows: int, outcome: str = "http.502") -> None:
        """Let these requests fail."""
        if outcome not in self.meta["outcomes"]:
            self.meta["outcomes"].append(outcome)
        for row in rows:
            self.rows["outcome"][row] = self.meta["outcomes"].index(outcome)
            self.rows["status"][row], self.rows["version"][row] = 502, 0
            if outcome.startswith("http."):  # by a proxy, which names no pod
                self.rows["served_by"][row] = 0

    def spread(self, count: int, begin: float = 0.02, lanes: tuple[str, ...] = lanes[:3]) -> None:
        """Let so many single requests fail, evenly over the rest of the window."""
        for i in range(count):
            self.lose(self.row(begin + i * (0.95 - begin) / count, lanes[i % len(lanes)]))

    def slow(self, *rows: int, took_ms: float) -> None:
        """Let these answers take so long."""
        for row in rows:
            self.rows["done_ns"][row] = self.rows["first_byte_ns"][row] = self.rows["send_ns"][row] + int(took_ms * 1e6)

    def stall(self, at: float, for_ms: float) -> None:
        """Let the generator stop from then on: what was due meanwhile is sent at the end."""
        begin = int(self.rows["send_ns"][self.row(at)])
        end = begin + int(for_ms * 1e6)
        due = (self.rows["intended_ns"] >= begin) & (self.rows["intended_ns"] < end)
        took = self.rows["done_ns"][due] - self.rows["send_ns"][due]
        self.rows["send_ns"][due] = end
        self.rows["done_ns"][due] = self.rows["first_byte_ns"][due] = end + took
        late = np.stack((self.rows["intended_ns"][due], end - self.rows["intended_ns"][due]), axis=1)
        self.late_ns = np.concatenate((self.late_ns, late[late[:, 1] > 5_000_000]))

    def write(self, path: Path) -> None:
        np.savez_compressed(path, rows=self.rows, late_ns=self.late_ns, meta=np.array(json.dumps(self.meta)))


def within_its_rate(load: Load) -> None:
    """One request of the baseline and two of the window were lost, each by itself: as often as is allowed."""
    load.lose(load.row(-0.2))
    load.spread(2)


def more_than_its_rate(load: Load) -> None:
    """Single failures on all lanes, far more of them than the allowed background explains."""
    load.lose(load.row(-0.2))
    load.spread(14)


def outage_beside_it(load: Load) -> None:
    """The allowed background, and two requests in a row on one lane: that is an outage."""
    first = load.row(0.05)  # before the first pod was told to end
    load.lose(load.row(-0.2), first)
    after = np.flatnonzero((load.rows["lane"] == 0) & (np.arange(len(load.rows)) > first))[0]
    load.lose(int(after))


def wrong_body_beside_it(load: Load) -> None:
    """One wrong body within a rate that would explain one lost request: what is wrong is never background."""
    load.lose(load.row(0.5), outcome="body.wrong")


def sick_before(load: Load) -> None:
    """The baseline lost more than the allowed background explains: nothing after it can be blamed on the act."""
    for i in range(9):
        load.lose(load.row(-0.25 + 0.02 * i))
    load.spread(3)


def all_on_one_lane(load: Load) -> None:
    """As many failures as the background explains, but all of them POSTs: a background is spread over the lanes."""
    load.spread(5, lanes=("keepalive-post",))


def one_in_fifty_slow(load: Load) -> None:
    """One answer in fifty took 900 ms; the generator was on time, and the control lane as fast as ever."""
    paced = np.flatnonzero(np.isin(load.rows["lane"], (0, 1, 2)) & (load.rows["send_ns"] > load.begin_ns))
    load.slow(*paced[::50], took_ms=900.0)


def all_slow_with_the_control(load: Load) -> None:
    """For a while everything took 900 ms, and the control lane as well: the way there was slow, not the app."""
    rows = np.arange(load.row(0.3), load.row(0.45))
    load.slow(*rows[load.rows["lane"][rows] < len(load.lanes) - 1], took_ms=900.0)


def one_very_slow(load: Load) -> None:
    """A single answer took 1.5 s."""
    load.slow(load.row(0.5), took_ms=1500.0)


def slow_in_a_stall(load: Load) -> None:
    """An answer took 240 ms while the generator stood still for 200: it may have been there long before."""
    load.slow(load.row(0.49), took_ms=240.0)
    load.stall(0.5, for_ms=200.0)


def many_small_outages(load: Load) -> None:
    """Five outages of one request each, a second apart: next to nothing in sum."""
    load.spread(5)


def small_outages_and_a_doubt(load: Load) -> None:
    """Two outages, and an answer that came late with the control lane's: a third one, or none."""
    load.spread(2, begin=0.05)
    doubtful = load.row(0.8)
    load.slow(doubtful, load.row(0.8, "control"), took_ms=900.0)


def starved_and_silent(load: Load) -> None:
    """The generator came late again and again, and 60 requests were not answered in time: it may not have looked."""
    for i in range(12):
        load.stall(0.02 + 0.04 * i, for_ms=60.0)
    silent = [load.row(0.6 + 0.005 * i) for i in range(60)]
    load.lose(*silent, outcome="read.timeout")
    load.slow(*silent, took_ms=600.0)


def starved_and_refused(load: Load) -> None:
    """The same, and six requests were answered with 503: nobody makes those by being late."""
    starved_and_silent(load)
    load.lose(*(load.row(0.05 + 0.001 * i, "new-get") for i in range(6)), outcome="http.503")


TRAFFIC: dict[str, tuple[Callable[[Load], None], dict[str, float]]] = {
    "good/background-within-its-rate": (within_its_rate, {"background_failures_per_million": 1500.0}),
    "bad/background-exceeded": (more_than_its_rate, {"background_failures_per_million": 1500.0}),
    "bad/background-with-an-outage": (outage_beside_it, {"background_failures_per_million": 1500.0}),
    "bad/background-with-a-wrong-body": (wrong_body_beside_it, {"background_failures_per_million": 1500.0}),
    "inconclusive/background-sick-before": (sick_before, {"background_failures_per_million": 1500.0}),
    "inconclusive/background-on-one-lane": (all_on_one_lane, {"background_failures_per_million": 1500.0}),
    "bad/p99-above-its-limit": (one_in_fifty_slow, {"p99_ms_max": 500.0}),
    "inconclusive/p99-with-the-control-lane": (all_slow_with_the_control, {"p99_ms_max": 500.0}),
    "bad/longest-above-its-limit": (one_very_slow, {"longest_ms_max": 1000.0}),
    "inconclusive/longest-in-a-stall": (slow_in_a_stall, {"longest_ms_max": 150.0}),
    "inconclusive/starved-and-silent": (starved_and_silent, {"late_share_max": 0.02}),
    "bad/starved-and-refused": (starved_and_refused, {"late_share_max": 0.02}),
    "bad/many-small-outages": (many_small_outages, {"downtime_budget_ms": 400.0, "outages_max": 3}),
    "inconclusive/small-outages-and-a-doubt": (
        small_outages_and_a_doubt, {"downtime_budget_ms": 400.0, "outages_max": 2, "longest_ms_max": 500.0},
    ),
}  # fmt: skip
Said = tuple[str, str, float, dict[str, Any]]  # a word of the fault, its outcome, seconds after the start, its data


def loses_requests(load: Load) -> tuple[set[str], list[Said]]:
    """What was sent to the app just after a pod had been deleted was lost, though another pod was there in time."""
    first = load.row(0.02)
    load.lose(*(first + i for i in range(6) if load.rows["lane"][first + i] < 3))
    return set(), []


def does_not_recover(_: Load) -> tuple[set[str], list[Said]]:
    """A pod was deleted under load, and the one in its place was still not ready when the limit had passed."""
    last = {"waited_s": 60.2, "last_seen": "1 of 2 pods serve"}
    return {"recovered", "undone"}, [("not-recovered", "fail", 60.2, last)]


def is_not_felt(_: Load) -> tuple[set[str], list[Said]]:
    """The API took the deletion, and no watch showed that any pod went: the clean load proves nothing."""
    return {"effect", "recovered", "undone"}, [("no-effect", "unknown", 10.0, {"waited_s": 10.0})]


FAULTS: dict[str, tuple[Callable[[Load], tuple[set[str], list[Said]]], dict[str, list[str]]]] = {
    "bad/fault-loses-requests": (loses_requests, {"fault": ["PASS"], "availability": ["FAIL"]}),
    "bad/fault-not-recovered": (does_not_recover, {"fault": ["FAIL"], "availability": ["INCONCLUSIVE"]}),
    "inconclusive/fault-without-effect": (is_not_felt, {"fault": ["INCONCLUSIVE"], "availability": ["INCONCLUSIVE"]}),
}


def health_follows(events: list[Event], load: Load) -> list[Event]:
    """While the database was away the health paths failed too, and requests were lost after all had been well again."""
    for event in events:
        if event["source"] == "proof" and event["subject"].startswith("Pod/") and event["what"] == "version":
            event["data"].update(status=503, version=None)
            event["outcome"] = "unknown"
    first = load.row(0.8)
    load.lose(*(first + i for i in range(6) if load.rows["lane"][first + i] < 3))
    return events


def database_not_missed(events: list[Event], _: Load) -> list[Event]:
    """The database was taken away, and no pod of the app said so."""
    words = ("effect", "recovered", "not-recovered", "undone")
    return [e for e in events if e["source"] != "fault" or e["what"] not in words]


Change = Callable[[list[Event], Load], list[Event]]
NOT_MISSED = {"dependency": ["INCONCLUSIVE"], "outage": ["INCONCLUSIVE"], "fault": ["INCONCLUSIVE"]}
DATABASE: dict[str, tuple[str, Change, dict[str, list[str]]]] = {  # name -> the drill of its source, change, verdicts
    "bad/fault-health-follows-database": (
        "database-refused", health_follows, {"dependency": ["FAIL"], "outage": ["FAIL"]},
    ),
    "inconclusive/fault-database-not-missed": ("database-refused", database_not_missed, NOT_MISSED),
    **{
        f"inconclusive/fault-database-{way}-not-missed": (f"database-{way}", database_not_missed, NOT_MISSED)
        for way in ("dropped", "silent")
    },
}  # fmt: skip


def nothing_may_be_read(events: list[Event]) -> list[Event]:
    """The same crash loop, where neither logs nor events may be read: the pod's state alone is known."""
    told = {"cause": "forbidden", "reason": "pods/log: 403 Forbidden"}
    for event in events:
        if event["source"] == "kept" and event["what"] in ("log", "events"):
            event.update(what="unread", outcome="unknown", data=told)
    return events


def killed_for_its_memory(events: list[Event]) -> list[Event]:
    """The same crash loop, but each time the kernel had ended the container at its memory limit."""
    for event in events:
        if (event["source"], event["what"]) == ("kept", "state"):
            event["data"].update(ended="OOMKilled", exit_code=137)
    return events


KEPT: dict[str, tuple[Callable[[list[Event]], list[Event]], str]] = {  # name -> change, the cause to be named first
    "bad/release-pods-not-read": (nothing_may_be_read, "CRASH_LOOP_BACK_OFF"),
    "bad/release-out-of-memory": (killed_for_its_memory, "OUT_OF_MEMORY"),
}
RESULT = {"good": "PASS", "bad": "FAIL", "inconclusive": "INCONCLUSIVE"}
# What has to be named first, by what was done to the facts. KEPT has its own.
FIRST = {
    "bad/background-exceeded": CauseCode.SCATTERED,
    "bad/background-with-a-wrong-body": CauseCode.BAD_ANSWERS,
    "bad/background-with-an-outage": CauseCode.KEEPALIVE_RACE,  # two reused connections, before any step
    "bad/p99-above-its-limit": CauseCode.P99_TOO_LATE,
    "bad/longest-above-its-limit": CauseCode.SLOW,
    "bad/many-small-outages": CauseCode.SCATTERED,
    "bad/fault-loses-requests": CauseCode.PRESTOP_MISSING,
    "bad/fault-not-recovered": CauseCode.POD_NEVER_READY,
    "bad/fault-health-follows-database": CauseCode.HEALTH_FOLLOWS_DATABASE,
    "bad/starved-and-refused": CauseCode.UNEXPLAINED,
    "inconclusive/starved-and-silent": CauseCode.GENERATOR_STALL,
    "inconclusive/somebody-else-changed": CauseCode.LEFT_ALONE,
}


def derive_traffic(name: str) -> None:
    """Write one case: a sound release under load with other rules and requests; of its timeline what is judged."""
    hurt, rules = TRAFFIC[name]
    source = "good/sandbox-sound-load"
    plan, events = _facts(source)
    traffic = plan["target"]["traffic"]
    traffic.update(rules)
    kept = [e for e in events if e["source"] != "watch" or e["subject"].startswith(("Pod/", "Watch/"))]
    (asked,) = (e for e in kept if (e["subject"], e["what"]) == ("judge", "asked"))
    asked["data"]["checkers"] = ["load_soundness", "rollout", "availability"]
    begun_s = _only(kept, "release", "started")["start_s"]
    end_s = _only(kept, "release", "old-gone")["end_s"] + traffic["after_old_gone_s"] + traffic["tail_s"]
    load = Load(HERE / source / "requests-zero-downtime.npz", int(begun_s * 1e9), int(end_s * 1e9))
    hurt(load)
    must = {"availability": [RESULT[name.partition("/")[0]]]}
    _write(name, source, plan, kept, why=hurt.__doc__, must=must, load=load)


def derive_fault(name: str) -> None:
    """Write one case: a pod that was deleted under load, with other requests, or other words about the fault."""
    change, must = FAULTS[name]
    source = "good/sandbox-sound-pod-delete"
    plan, events = _facts(source)
    begun, traffic = _only(events, "fault", "injecting"), plan["target"]["traffic"]
    end_s = _only(events, "fault", "undone")["end_s"] + traffic["after_old_gone_s"] + traffic["tail_s"]
    load = Load(HERE / source / "requests-pod-delete.npz", int(begun["start_s"] * 1e9), int(end_s * 1e9))
    unsaid, said = change(load)
    told = [
        {**begun, "what": what, "outcome": outcome, "end_s": begun["start_s"] + after_s, "data": data}
        for what, outcome, after_s, data in said
    ]
    kept = [e for e in events if e["source"] != "fault" or e["what"] not in unsaid]
    if "effect" in unsaid:
        kept = [e for e in kept if not e["subject"].startswith("Pod/") or e["start_s"] < begun["start_s"]]
    if any(what == "not-recovered" for what, *_ in said):
        kept = [_unready(e, kept, begun["start_s"]) for e in kept]
    _write(name, source, plan, [*kept, *told], why=change.__doc__, must=must, load=load)


def _unready(event: Event, events: list[Event], since_s: float) -> Event:
    """A pod that came since then never gets ready, and its address never into the Service."""
    old = [e for e in events if e["subject"].startswith("Pod/") and e["start_s"] < since_s]
    if event["source"] != "watch" or event["start_s"] < since_s:
        return event
    data = event["data"]
    if event["subject"].startswith("Pod/") and event["subject"] not in {e["subject"] for e in old}:
        return {**event, "data": {**data, "ready": False}}
    if event["subject"].startswith("EndpointSlice/"):
        known = {e["data"].get("ip") for e in old}
        return {**event, "data": {**data, "ready": [ip for ip in data.get("ready", ()) if ip in known]}}
    return event


def derive_database(name: str) -> None:
    """Write one case: the database away under load, with other requests, or another timeline."""
    drill, change, must = DATABASE[name]
    source = next(f"{kind}/fault-{drill}" for kind in RESULT if (HERE / kind / f"fault-{drill}").is_dir())
    plan, events = _facts(source)
    begun_s = _only(events, "fault", "injecting")["start_s"]
    end_s = next(e for e in events if e["what"] in ("recovered", "not-recovered"))["end_s"] + 15.0
    load = Load(HERE / source / f"requests-{drill}.npz", int(begun_s * 1e9), int(end_s * 1e9))
    _write(name, source, plan, change(events, load), why=change.__doc__, must=must, load=load)


def derive_kept(name: str) -> None:
    """Write one case: a release that crashes, with other words kept of its pods."""
    change, cause = KEPT[name]
    source = "bad/release-named-by-its-log"
    plan, events = _facts(source)
    _write(name, source, plan, change(events), why=change.__doc__, must={"release": ["FAIL"]}, cause=cause)


if __name__ == "__main__":
    for case_name in KEPT:
        derive_kept(case_name)
    for case_name in DATABASE:
        derive_database(case_name)
    for case_name in FAULTS:
        derive_fault(case_name)
    for case_name in CASES:
        derive(case_name)
    for case_name in TRAFFIC:
        derive_traffic(case_name)

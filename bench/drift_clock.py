"""Is the harness's drift clock right? Its restore times against the API server's audit log, trial by trial.

The audit log is written by the API server itself, with microseconds: our write and Argo CD's next write to the same
object, dry runs left out. The harness times the same from outside, by the reply to its write and by a watch.
To reach: p95 of the difference <= 20 ms over at least 20 trials. Only spans are compared: the clocks may be apart.

usage: python bench/drift_clock.py [--runs 3] [--target targets/lab.toml] [--audit audit.log] [reports/<run> ...]

It makes the runs itself (`rollproof run drift`, about 3 min each), unless runs are named whose audit log is still kept.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

LIMIT_MS, TRIALS_MIN = 20.0, 20
HEALS = (
    "image", "replicas", "env", "resources", "configmap", "service-selector", "delete-service", "delete-configmap",
)  # fmt: skip
PLURALS = {"Deployment": "deployments", "ConfigMap": "configmaps", "Service": "services"}
ARGO_CD = "argocd-application-controller"
SAME_WRITE_S = 1.0  # our write is looked for within this of where our clocks put it


@dataclass(frozen=True)
class Trial:
    """One drift as the harness timed it; `injected_s` is wall clock time, to find it in the audit log."""

    run: str
    name: str
    place: tuple[str, str, str]  # plural, namespace, name
    injected_s: float
    restored_s: float  # from the reply to the restored object


@dataclass(frozen=True)
class Write:
    """One change in the audit log: the time of the API server's response, and its author."""

    at_s: float
    place: tuple[str, str, str]
    argo_cd: bool


def trials_of(folder: Path) -> Iterator[Trial]:
    """Every drift of a run that was restored."""
    events: list[dict[str, Any]] = [json.loads(line) for line in (folder / "timeline.jsonl").read_text().splitlines()]
    clock = json.loads((folder / "environment.json").read_text())["clock"]
    offset_s = clock["wall_s"] - clock["monotonic_s"]
    said: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["source"] != "drift":
            continue
        said[f"{event['subject']} {event['what']}"] = event
        subject = event["subject"]
        if event["what"] != "restored" or said[f"{subject} planned"]["data"]["kind"] != "heal":
            continue
        kind, namespace, name = said[f"{subject} planned"]["data"]["object"].split("/")
        replied_s = said[f"{subject} injected"]["end_s"]
        place = (PLURALS[kind], namespace, name)
        yield Trial(folder.name, subject[6:], place, replied_s + offset_s, event["end_s"] - replied_s)


def writes_in(audit: Path) -> list[Write]:
    """Every accepted change of an object that drills change, in order."""
    writes: list[Write] = []
    for path in sorted(audit.parent.glob(f"{audit.stem}*{audit.suffix}")):  # rotated files as well
        for line in path.read_text(errors="replace").splitlines():
            write = _write(line)
            if write is not None:
                writes.append(write)
    return sorted(writes, key=lambda write: write.at_s)


def _write(line: str) -> Write | None:
    try:
        entry = json.loads(line)
        ref = entry["objectRef"]
        place = (ref["resource"], ref.get("namespace", ""), ref.get("name", ""))
        changed = entry["verb"] in ("create", "update", "patch", "delete") and "subresource" not in ref
    except (ValueError, KeyError):
        return None  # an incomplete line, or one without an object
    accepted = 200 <= entry.get("responseStatus", {}).get("code", 0) < 300
    if not changed or not accepted or "dryRun=" in entry["requestURI"] or entry["stage"] != "ResponseComplete":
        return None
    at_s = datetime.fromisoformat(entry["stageTimestamp"].replace("Z", "+00:00")).timestamp()
    return Write(at_s, place, ARGO_CD in entry["user"]["username"])


def restored_by_audit_s(trial: Trial, writes: list[Write]) -> float | None:
    """From our write to Argo CD's next one on that object; None if either is not in the log."""
    here = [write for write in writes if write.place == trial.place]
    ours = [write for write in here if not write.argo_cd and abs(write.at_s - trial.injected_s) < SAME_WRITE_S]
    if not ours:
        return None
    our_write = min(ours, key=lambda write: abs(write.at_s - trial.injected_s))
    repairs = [write.at_s for write in here if write.argo_cd and write.at_s > our_write.at_s]
    return repairs[0] - our_write.at_s if repairs else None


def make_runs(count: int, target: str) -> list[Path]:
    """Run drift drills, one after the other; a verdict other than PASS still has times to compare."""
    before = set(Path("reports").glob("*-drift"))
    chosen = [word for trial in HEALS for word in ("--trial", trial)]
    for _ in range(count):
        command = [sys.executable, "-m", "rollproof", "run", "drift", "--target", target, *chosen]
        subprocess.run(command, check=False, stdout=sys.stderr)
    return sorted(set(Path("reports").glob("*-drift")) - before)


def compare(trials: list[Trial], writes: list[Write]) -> int:
    """Print one row a trial and the summary; 1 if there is nothing to compare."""
    differences_ms: list[float] = []
    print(f"{'run':<28} {'trial':<18} {'harness s':>10} {'audit s':>10} {'difference ms':>14}")
    for trial in trials:
        audit_s = restored_by_audit_s(trial, writes)
        shown, difference = ("not found", "") if audit_s is None else (f"{audit_s:.4f}", "")
        if audit_s is not None:
            differences_ms.append((trial.restored_s - audit_s) * 1e3)
            difference = f"{differences_ms[-1]:+.2f}"
        print(f"{trial.run:<28} {trial.name:<18} {trial.restored_s:>10.4f} {shown:>10} {difference:>14}")
    if len(differences_ms) < 2:
        print(f"only {len(differences_ms)} of {len(trials)} trials are in the audit log", file=sys.stderr)
        return 1
    sizes = sorted(abs(difference) for difference in differences_ms)
    p95 = statistics.quantiles(sizes, n=20, method="inclusive")[-1]
    reached = p95 <= LIMIT_MS and len(sizes) >= TRIALS_MIN
    print(
        f"{len(sizes)} of {len(trials)} trials compared: |difference| p50 {statistics.median(sizes):.2f} ms, "
        f"p95 {p95:.2f} ms, max {sizes[-1]:.2f} ms; goal p95 <= {LIMIT_MS:g} ms over >= {TRIALS_MIN} trials: "
        f"{'reached' if reached else 'NOT reached'}"
    )
    return 0


def main() -> int:
    """Read or make runs, then compare."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    parser = argparse.ArgumentParser(description="the drift clock against the audit log")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--target", default="targets/lab.toml")
    parser.add_argument("--audit", type=Path, default=state / "rollproof/lab/audit/audit.log")
    parser.add_argument("folders", nargs="*", type=Path)
    chosen = parser.parse_args()
    folders = chosen.folders or make_runs(chosen.runs, chosen.target)
    trials = [trial for folder in folders for trial in trials_of(folder)]
    return compare(trials, writes_in(chosen.audit))


if __name__ == "__main__":
    sys.exit(main())

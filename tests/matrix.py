"""The main job on pairs of Kubernetes and Argo CD: does it pass, are self-heals as far apart as modelled, what differs?

`python -m tests.matrix [KUBERNETES,ARGOCD ...]` makes the lab with each pair (every Kubernetes with the newest Argo CD,
then the newest with every Argo CD, if none is named), runs `release` and `all` (zero downtime, three drifts, rollback),
then scales the Deployment by hand four times, each time at once after it was restored, and reads how long
Argo CD let pass. What was seen of a pair is kept in docs/matrix/; docs/matrix.md is written from all that is there.
A run is made a second time only if it was INCONCLUSIVE for lack of CPU alone (tests/starved.py), and the table says so.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import cluster, settings
from lab.steps import Log
from rollproof.core.backoff import model
from tests.starved import starved

__all__ = ["Heal", "Seen", "differences", "page", "paths", "words_of"]

_KEPT = settings.REPOSITORY / "docs" / "matrix"  # in the repository: a pair that is new is run alone
_REPORTS = Path("build/matrix")
_PAGE = settings.REPOSITORY / "docs" / "matrix.md"
_NAMESPACE = _APP = "angelpay-dev"
_DRILLS: Mapping[str, tuple[str, ...]] = {
    "release": (),
    "all": ("--trial", "image", "--trial", "replicas", "--trial", "configmap"),  # zero downtime, three drifts, rollback
}
_HEALS = 4
_HEAL_S = 120.0
_WHOLE_S = 1.0  # Argo CD writes its times in whole seconds
_LATE_S = 4.0  # what a self-heal may come later than its gap: comparing, applying, a busy machine


@dataclass(frozen=True)
class Heal:
    """One self-heal: the count before it, and the drift and the heal's start, in seconds after the operation before."""

    attempts: int
    drift_s: float
    heal_s: float

    def modelled_s(self, argocd: str) -> float:
        """When the model lets it start: at once, or when the gap is over."""
        return max(self.drift_s, model(f"v{argocd}").gap_s(self.attempts))


@dataclass(frozen=True)
class Seen:
    """All that was seen of one pair."""

    kubernetes: str
    argocd: str
    day: str
    runs: Mapping[str, Mapping[str, str]]  # drill -> checker -> the results that it gave
    again: Sequence[str] = ()  # the drills that were made twice, for lack of CPU
    heals: Sequence[Heal] = ()
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)  # kind -> paths that its objects have


def main(words: list[str]) -> int:
    """0 if every pair passed."""
    if words:
        pairs = [(kubernetes, argocd) for kubernetes, _, argocd in (word.partition(",") for word in words)]
    else:
        newest = settings.KUBERNETES_VERSIONS[0], settings.ARGOCD_VERSIONS[0]
        pairs = [(kubernetes, newest[1]) for kubernetes in reversed(settings.KUBERNETES_VERSIONS[1:])]
        pairs += [(newest[0], argocd) for argocd in reversed(settings.ARGOCD_VERSIONS)]  # ends with the default lab
    good = True
    _KEPT.mkdir(exist_ok=True)
    for kubernetes, argocd in pairs:
        seen = _one(kubernetes, argocd)
        _write(seen)
        good &= all(result == "PASS" for run in seen.runs.values() for result in run.values())
    kept = [_read(path) for path in _KEPT.glob("*.json")]
    _PAGE.write_text(page(sorted(kept, key=_order), _read_by_rollproof()), encoding="utf-8")
    return 0 if good else 1


def _one(kubernetes: str, argocd: str) -> Seen:
    print(f"\n== Kubernetes {kubernetes}, Argo CD {argocd}", flush=True)
    words = ("-m", "lab", "up", "--kubernetes", kubernetes, "--argocd", argocd)
    subprocess.run([sys.executable, *words], check=True)
    runs, again = {}, []
    for drill in _DRILLS:
        said = _drill(drill)
        if starved(said):
            again.append(drill)
            said = _drill(drill)
        runs[drill] = _results(said)
    return Seen(
        kubernetes, argocd, datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), runs, again, list(_heals()), _fields()
    )


def _drill(drill: str) -> dict[str, Any]:
    before = set(_REPORTS.glob("*/verdicts.json"))
    words = ("-m", "rollproof", "run", drill, *_DRILLS[drill], "--target", "targets/lab.toml", "--quiet")
    subprocess.run([sys.executable, *words, "--reports", str(_REPORTS)], check=False)
    new = set(_REPORTS.glob("*/verdicts.json")) - before
    if len(new) != 1:  # refused before it began: it has said why
        raise RuntimeError(f"`rollproof run {drill}` left {len(new)} runs in {_REPORTS}, expected 1")
    return dict(json.loads(new.pop().read_text(encoding="utf-8")))


def _results(said: Mapping[str, Any]) -> dict[str, str]:
    results: dict[str, list[str]] = {}
    for verdict in said["verdicts"]:
        results.setdefault(verdict["checker"], []).append(verdict["result"])
    return {checker: " ".join(sorted(set(found))) for checker, found in results.items()}


def _get(kind: str, name: str = "", namespace: str = _NAMESPACE) -> dict[str, Any]:
    log = Log(settings.state() / "logs" / "matrix.log")
    words = ("get", kind, *([name] if name else []), f"--namespace={namespace}", "--output=json")
    return dict(json.loads(cluster.kubectl(log, *words)))


def _heals() -> Iterator[Heal]:
    """Four drifts of `spec.replicas` by hand, each at once after the one before was restored."""
    log = Log(settings.state() / "logs" / "matrix.log")
    before = _ended()
    for _ in range(_HEALS):
        drifted = datetime.now(UTC)
        cluster.kubectl(log, "scale", "deployment/angelpay", f"--namespace={_NAMESPACE}", "--replicas=3")
        state = _ended(other_than=before.get("startedAt", ""))
        attempts = before["operation"].get("sync", {}).get("autoHealAttemptsCount", 0)
        finished = _time(before["finishedAt"])
        yield Heal(
            attempts,
            round((drifted - finished).total_seconds(), 1),
            (_time(state["startedAt"]) - finished).total_seconds(),
        )
        before = state


def _ended(other_than: str | None = None) -> dict[str, Any]:
    """The last operation, once it has succeeded; with a start that is another one's, if that is known.

    Without a start it may be, too: 3.1.16 has left a state that has neither `startedAt` nor what the operation was.
    """
    until = time.monotonic() + _HEAL_S
    while True:
        state = _operation()
        begun = state.get("startedAt") not in {None, other_than} or other_than is None
        if begun and state.get("phase") == "Succeeded":
            return state
        if time.monotonic() > until:
            raise TimeoutError(f"no operation has succeeded within {_HEAL_S:g} s; the last one is {state}")
        time.sleep(0.1)


def _operation() -> dict[str, Any]:
    """The last operation; {} for the moment in which Argo CD has put none there yet."""
    return dict(_get("application", _APP, "argocd")["status"].get("operationState") or {})


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _fields() -> dict[str, Sequence[str]]:
    found = {
        "Application": [_get("application", _APP, "argocd")],
        "Deployment": [_get("deployment", "angelpay")],
        "Pod": _get("pods")["items"],
        "EndpointSlice": _get("endpointslices")["items"],
        "ReplicaSet": _get("replicasets")["items"],
    }
    return {kind: sorted({path for item in items for path in paths(item)}) for kind, items in found.items()}


# --- pure


def paths(value: object, at: str = "") -> Iterator[str]:
    """The paths of all fields; of lists the items' fields, of free maps (labels and the like) the name alone."""
    free = at.rpartition(".")[2] in {"labels", "annotations", "matchLabels", "nodeSelector", "managedFields", "data"}
    if isinstance(value, dict) and not free:
        for key, inner in value.items():
            yield from paths(inner, f"{at}.{key}")
    elif isinstance(value, list) and not free:
        for inner in value:
            yield from paths(inner, f"{at}[]")
    if at:
        yield at


def differences(first: Seen, other: Seen, read: Collection[str]) -> list[str]:
    """Fields that only one of the two pairs has, in words."""
    lines = []
    for kind in first.fields:
        left, right = set(first.fields[kind]), set(other.fields.get(kind, ()))
        for names, what in ((right - left, "only here"), (left - right, "not here")):
            top = sorted(name for name in names if not any(_below(name, above) for above in names))
            if top:
                lines.append(f"{kind}, {what}: {', '.join(_said(name, names, read) for name in top)}")
    return lines


def words_of(source: str) -> set[str]:
    """All texts that a module has."""
    return {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _said(name: str, names: Collection[str], read: Collection[str]) -> str:
    inside = [one for one in names if one == name or _below(one, name)]
    return f"**`{name}`** (read)" if any(_last(one) in read for one in inside) else f"`{name}`"


def _last(path: str) -> str:
    return path.rpartition(".")[2].rstrip("[]")


def _below(name: str, above: str) -> bool:
    return name != above and name.startswith((f"{above}.", f"{above}["))


_HEAD = """\
# Versions: what was run on which

`make matrix` (7 to 13 minutes a pair, beside what is built first) makes the lab with each pair, runs `release` and
`all` (zero downtime, drift of `image`, `replicas` and `configmap`, rollback), then scales the Deployment by hand four
times, each at once after the last was restored. Made by `tests/matrix.py` from `docs/matrix/`: do not edit. Only pairs
that were run are here; any other line is unknown to `rollproof doctor`. `lab/README.md` says how it is built.

| Kubernetes | Argo CD | when | `release` | zero downtime, three drifts, rollback | self-heals: seen (modelled), s |
|---|---|---|---|---|---|
"""
_MIDDLE = f"""
A self-heal is seen at its start, in seconds after the end of the operation before it (whole ones: Argo CD's own words).
Modelled is the gap of `src/rollproof/core/backoff.py` for that line and count, or the drift, if it came later. What
starts up to {_WHOLE_S:g} s earlier or {_LATE_S:g} s later is as modelled; anything else is marked.

## Fields

Fields of the live Application, Deployment, ReplicaSets, pods and EndpointSlices that one pair has and the default pair
has not, or the other way round. **Read** are those whose name rollproof's source has as a word of its own; a name may
be meant for another object there. A field that is there only at times may be listed without being new, and Argo CD was
changed in place: what another line has written into an Application and this one leaves alone is still there.
"""


def page(kept: Sequence[Seen], read: Collection[str]) -> str:
    """The page; `read`: names of fields that rollproof's source knows."""
    rows = []
    for seen in kept:
        cells = (seen.kubernetes, seen.argocd, seen.day, *(_verdict(seen, drill) for drill in _DRILLS), _gaps(seen))
        rows.append(f"| {' | '.join(cells)} |\n")
    lines = []
    for seen in kept[1:]:
        lines += ["", f"Kubernetes {seen.kubernetes}, Argo CD {seen.argocd}:", ""]
        lines += [f"- {line}" for line in differences(kept[0], seen, read)] or ["- none"]
    return "".join([_HEAD, *rows, _MIDDLE, *(f"{line}\n" for line in lines)])


def _verdict(seen: Seen, drill: str) -> str:
    run = seen.runs[drill]
    wrong = [f"{checker} {result}" for checker, result in sorted(run.items()) if result != "PASS"]
    said = "; ".join(wrong) or f"PASS ({len(run)} checkers)"
    return f"{said}, second try (CPU)" if drill in seen.again else said


def _gaps(seen: Seen) -> str:
    cells = []
    for heal in seen.heals:
        wanted_s = heal.modelled_s(seen.argocd)
        as_modelled = wanted_s - _WHOLE_S <= heal.heal_s <= wanted_s + _LATE_S
        cells.append(f"{heal.heal_s:g} ({wanted_s:g}){'' if as_modelled else ' **not as modelled**'}")
    return ", ".join(cells) or "-"


def _read_by_rollproof() -> set[str]:
    source = settings.REPOSITORY / "src" / "rollproof"
    return {word for path in source.rglob("*.py") for word in words_of(path.read_text(encoding="utf-8"))}


def _write(seen: Seen) -> None:
    text = json.dumps(asdict(seen)) + "\n"
    (_KEPT / f"{seen.kubernetes}-{seen.argocd}.json").write_text(text, encoding="utf-8")


def _read(path: Path) -> Seen:
    said = json.loads(path.read_text(encoding="utf-8"))
    return Seen(**{**said, "heals": [Heal(**heal) for heal in said["heals"]]})


def _order(seen: Seen) -> tuple[int, int]:
    known = (settings.KUBERNETES_VERSIONS, settings.ARGOCD_VERSIONS)
    return tuple(  # type: ignore[return-value] # two of them
        versions.index(one) if one in versions else len(versions)
        for versions, one in zip(known, (seen.kubernetes, seen.argocd), strict=True)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

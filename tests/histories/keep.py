"""Keep a run as a history: copy what judging needs, remove what is only for people, write the expected verdicts.
Paths and the name of this machine are replaced.

usage: python tests/histories/keep.py reports/<run> {good,bad,inconclusive}/<name> "why it is here"
The verdicts of the run become the expectation: read them before you commit.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OWN = ((str(Path.home()), "~"), (str(HERE.parents[1]), "."), (f" on {socket.gethostname()} ", " on host "))
NEEDED = ("plan.json", "environment.json", "timeline.jsonl")


def keep(run: Path, case: Path, why: str, *, origin: str = "lab") -> None:
    """Copy the facts of `run` to `case` and write expected.json from its verdicts."""
    case.mkdir(parents=True)
    above = run.resolve().parents[2]
    places = OWN if above == above.parent else (*OWN, (str(above), "."))  # "/" alone names no machine
    for name in NEEDED:
        text = (run / name).read_text()
        for own, common in places:
            text = text.replace(own, common)
        (case / name).write_text(text)
    for path in run.glob("requests-*.npz"):
        shutil.copy(path, case / path.name)
    stored = json.loads((run / "verdicts.json").read_text())
    checkers: dict[str, dict[str, list[str]]] = {}
    for verdict in stored["verdicts"]:
        checkers.setdefault(verdict["drill"], {}).setdefault(verdict["checker"], []).append(verdict["result"])
    expected = {"origin": origin, "why": why, "result": stored["result"], "checkers": checkers}
    if stored["causes"]:
        expected["cause"] = stored["causes"][0]["code"]  # is it the right one? Then keep it, else mend the ranking
    (case / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), HERE / sys.argv[2], sys.argv[3])

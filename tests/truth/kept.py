"""The outcomes that docs/truth.md is written from, as files beside it: docs/truth/sandbox.json and kind.json.

A run on the lab takes most of an hour, and one of the sandbox a whole one: neither shall be needed to write the page
anew. What was said on the lab is kept for each defect by itself, with its day; a new one replaces it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .case import Outcome

__all__ = ["OnKind", "SandboxRun", "merged", "read_kind", "read_sandbox", "write_kind", "write_sandbox"]


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """A whole run of `python -m tests.truth`: its outcomes, and what a reader must know of it."""

    outcomes: tuple[Outcome, ...]
    command: str
    seed: int
    took_s: float
    when: str
    host: str

    @classmethod
    def now(cls, outcomes: Iterable[Outcome], *, command: str, seed: int, took_s: float) -> SandboxRun:
        """One that ended just now, on this machine."""
        host = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
        return cls(tuple(outcomes), command, seed, took_s, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", host)


@dataclass(frozen=True, slots=True)
class OnKind:
    """What was said on the lab of one defect, and on which day."""

    outcome: Outcome
    day: str  # "2026-12-31"


def merged(before: Mapping[str, OnKind], new: Iterable[OnKind]) -> dict[str, OnKind]:
    """The newest of each defect; of one day, the new."""
    found = dict(before)
    for one in new:
        name = one.outcome.name
        if name not in found or found[name].day <= one.day:
            found[name] = one
    return found


def write_sandbox(path: Path, run: SandboxRun) -> None:
    """One line for each outcome."""
    lines = [_line(_bare(one)) for one in run.outcomes]
    head = _line({"command": run.command, "seed": run.seed, "took_s": run.took_s, "when": run.when, "host": run.host})
    _write(path, [head, *lines])


def read_sandbox(path: Path) -> SandboxRun:
    """What `write_sandbox` wrote."""
    head, *rest = json.loads(path.read_text(encoding="utf-8"))
    return SandboxRun(outcomes=tuple(Outcome(**one) for one in rest), **head)


def write_kind(path: Path, found: Mapping[str, OnKind]) -> None:
    """One line for each defect, by name."""
    _write(path, [_line({"day": one.day, **_bare(one.outcome)}) for _, one in sorted(found.items())])


def read_kind(path: Path) -> dict[str, OnKind]:
    """What `write_kind` wrote; nothing, if there is no such file."""
    if not path.is_file():
        return {}
    found = {}
    for one in json.loads(path.read_text(encoding="utf-8")):
        day = one.pop("day")
        found[one["name"]] = OnKind(Outcome(**one), day)
    return found


def _bare(one: Outcome) -> dict[str, Any]:
    """Without the folder, which is of the machine; and only what was wrong says why."""
    return asdict(replace(one, folder="", why="" if one.caught and one.named else one.why))


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")

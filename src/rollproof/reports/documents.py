"""The documents of `--json`: one JSON object on standard output in every case. Their schema is docs/json.md.

Keys are stable: each is always there, null if unknown; new ones may be added, and a change of meaning raises `schema`.
ASCII only, so that every terminal and pipe can take it, and without any registered secret.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rollproof.core.commandline import typed
from rollproof.core.verdict import Result, Verdict
from rollproof.redaction import SECRETS
from rollproof.reports.words import stable_name
from rollproof.store.folderfiles import read_whole

if TYPE_CHECKING:
    from rollproof.core.plan import Plan

__all__ = ["as_text", "doctor_document", "error_document", "plan_document", "rbac_document", "run_document"]

SCHEMA = 1
_OF_PLAN = ("drills", "old_sha", "new_sha")
_OF_VERDICTS = ("result", "undo", "target_kind", "events")


class Check(Protocol):
    """One line of `rollproof doctor`, which is a layer above."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool | None: ...
    @property
    def said(self) -> str: ...
    @property
    def hint(self) -> str: ...


def as_text(document: Mapping[str, Any]) -> str:
    """The document as text: ASCII, secrets hidden, no NaN or infinity (JSON has none)."""
    return json.dumps(_finite(SECRETS.value(document)), indent=1, ensure_ascii=True, allow_nan=False, default=str)


def error_document(command: str, exit_code: int, message: str, hint: str = "") -> dict[str, Any]:
    """The document of an error: the message of standard error."""
    error = {"message": message, "hint": hint}
    return {"schema": SCHEMA, "command": command, "exit_code": exit_code, "error": error}


def run_document(command: str, folder: Path, exit_code: int) -> dict[str, Any]:
    """The document of `run` and `judge`: the content of the run folder. Without verdicts in it, `error` says so."""
    stored, plan = _stored(folder / "verdicts.json"), _stored(folder / "plan.json")
    error = None
    if not stored:
        hint = f"{typed('undo', folder)} puts things back" if plan else ""
        error = {"message": "there are no verdicts; standard error says why", "hint": hint}
    target = plan.get("target")
    return {
        "schema": SCHEMA, "command": command, "exit_code": exit_code,
        "run": folder.name if plan else None,
        "folder": str(folder) if plan else None,
        "report": str(folder / "report.html") if stored else None,
        "target": target.get("name") if isinstance(target, Mapping) else None,
        **{key: plan.get(key) for key in _OF_PLAN},
        **{key: stored.get(key) for key in _OF_VERDICTS},
        "faults": stored.get("faults"),
        "causes": stored.get("causes"),
        "verdicts": [_verdict(one) for one in stored.get("verdicts", ()) if isinstance(one, Mapping)],
        "error": error,
    }  # fmt: skip


def plan_document(plan: Plan, refusal: str) -> dict[str, Any]:
    """The document of `plan`: every change; `refusal` is why `run` would refuse it as requested, or null."""
    return {
        "schema": SCHEMA, "command": "plan", "exit_code": 0, "target": plan.target.name, "drills": plan.drills,
        "old_sha": plan.old_sha, "new_sha": plan.new_sha, "restart": plan.restart, "keep": plan.keep,
        "env_repo_head": plan.env_repo_head, "under_load": plan.under_load, "bad": plan.bad,
        "touches": [asdict(touch) for touch in plan.touches],
        "injections": [asdict(one) for one in plan.injections], "skips": [asdict(skip) for skip in plan.skips],
        "refusal": refusal or None, "error": None,
    }  # fmt: skip


def doctor_document(target: str, lines: Iterable[Check], summary: str, exit_code: int) -> dict[str, Any]:
    """The document of `doctor`: one check a line; `ok` is null if less can be seen or claimed, or it is unknown."""
    checks = [{"name": line.name, "ok": line.ok, "said": line.said, "hint": line.hint} for line in lines]
    return {
        "schema": SCHEMA, "command": "doctor", "exit_code": exit_code, "target": target, "summary": summary,
        "checks": checks, "error": None,
    }  # fmt: skip


def rbac_document(target: str, drills: Iterable[str], objects: Iterable[Any], rules: Iterable[Any]) -> dict[str, Any]:
    """Of `rbac`: the objects as a List that `kubectl apply` takes, and each rule with its reasons and warnings."""
    manifest = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return {
        "schema": SCHEMA, "command": "rbac", "exit_code": 0, "target": target, "drills": list(drills),
        "manifest": manifest, "rules": [asdict(rule) for rule in rules], "error": None,
    }  # fmt: skip


def _stored(path: Path) -> dict[str, Any]:
    with suppress(Exception):  # missing, damaged or not a file: its writer has reported why
        document = json.loads(read_whole(path))
        return document if isinstance(document, dict) else {}
    return {}


def _verdict(stored: Mapping[str, Any]) -> dict[str, Any]:
    words = {key: str(stored.get(key, "")) for key in ("checker", "subject", "why", "drill")}
    name = stable_name(Verdict(words["checker"], words["subject"], Result.PASS, words["why"], words["drill"]))
    return {"name": name, **stored}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value

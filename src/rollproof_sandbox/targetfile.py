"""The target file of a sandbox: the same generator for the committed `targets/sandbox.toml` and for a running one.

It has only settings that any target file can have. Times are short, and the limits are the lab's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollproof.errors import InputError
from rollproof_sandbox.envrepo import BRANCH, IMAGE, OVERLAY, PIPELINE_ADDRESS
from rollproof_sandbox.settings import MISSING, SHAS, Ports, Settings

__all__ = ["APP_HOST", "CONTROL_HOST", "DEFAULT_FOLDER", "target_text"]

DEFAULT_FOLDER = "$XDG_STATE_HOME/rollproof/sandbox"  # without that variable: ~/.local/state
APP_HOST = "shop.sandbox"
CONTROL_HOST = "control.sandbox"
_HEADER = "# Written by `rollproof sandbox`: the embedded target, with short times."


def target_text(settings: Settings, folder: str, ports: Ports, *, pod_port: int = 8080) -> str:
    """The file as TOML, with `Settings.target` on top. `folder` may name an environment variable."""
    tables = _tables(folder, ports, pod_port)
    for section, values in settings.target.items():
        if section not in tables:
            raise InputError(f"the sandbox's target file has no section {section!r}", f"it has {', '.join(tables)}")
        tables[section] = {**tables[section], **values}
    kept = {name: table for name, table in tables.items() if next(iter(table.values())) is not None}
    top = "".join(f"{key} = {_value(value)}\n" for key, value in _top(folder).items())
    return f"{_HEADER}\n{top}" + "".join(_table(name, table) for name, table in kept.items())


def _top(folder: str) -> dict[str, Any]:
    return {"schema": 1, "name": "sandbox", "env_file": f"{folder}/credentials.env"}


def _tables(folder: str, ports: Ports, pod_port: int) -> dict[str, dict[str, Any]]:
    ingress = f"http://127.0.0.1:{ports.ingress}"
    return {
        "cluster": {
            "context": "sandbox", "kubeconfig": f"{folder}/kubeconfig", "namespace": "shop", "deployment": "shop",
            "service": "shop",
        },
        "argocd": {"application": "shop"},
        "env_repo": {
            "url": f"http://127.0.0.1:{ports.git}/env.git", "branch": BRANCH, "overlay": str(Path(OVERLAY).parent),
            "image": IMAGE, "username_env": "GIT_USERNAME", "password_env": "GIT_PASSWORD",
        },
        "app": {
            "base_url": ingress, "host": APP_HOST, "post_path": "/echo", "slow_path": "/slow?ms=300",
            "version_header": "X-App-Version", "served_by_header": "X-Served-By", "pod_port": pod_port,
        },
        "control": {"url": f"{ingress}/", "host": CONTROL_HOST},
        # The generator shares the cores with what it measures, on whatever machine: a few more late dispatches of some
        # milliseconds than a generator with a machine of its own may have. What a gap hides is judged by its length.
        "traffic": {
            "rate_per_s": 200.0, "baseline_s": 3.0, "after_old_gone_s": 2.0, "tail_s": 1.0, "late_share_max": 0.1,
        },
        "release": {"shas": list(SHAS), "deadline_s": 30.0},
        "release.bad": {"image_missing": MISSING, "never_ready_within_s": 20.0},
        "drift": {
            "trials": ["replicas", "configmap"], "configmap": "shop-config", "env_name": "LOG_LEVEL",
            "reset": "wait", "negative_watch_s": 3.0, "deadline_s": 20.0,
        },
        "faults": {"rest_s": 1.0},
        "jobs": {
            "report_path": "/jobs", "names": ["order-statistics", "settlement"], "period_s": 2.0, "periods": 4,
            "reported_within_s": 1.0, "settled_pointer": "/settled_cents", "booked_pointer": "/booked_cents",
        },
        "secrets": {"names": ["shop-secret/DB_PASS"], "placeholders": "base/secret.yaml"},
        "pipeline": {"author": PIPELINE_ADDRESS},
        "pipeline.limits_s": {"seen": None},  # its env commit is an hour old: no leg has a limit
        "rollback": {"limit_s": 30.0, "deadline_s": 60.0},
        "ingress": {"namespace": "ingress", "selector": "app=ingress", "container": "nginx"},
        "fences": {"namespaces": ["shop"]},
    }  # fmt: skip


def _table(name: str, table: Mapping[str, Any]) -> str:
    return f"\n[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    """A value in TOML; for texts, numbers, booleans and lists of them the same as in JSON."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(_value(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)

"""The two Applications. Each is up when Argo CD says so and the app answers with the version that git names.

Must never change the env repo, nor an Application that is in the wanted state.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from lab import cluster, envrepo, settings
from lab.steps import LabError, Log

__all__ = ["ENVIRONMENTS", "deploy", "get", "held", "is_at", "reads_metrics", "rows"]

ENVIRONMENTS = ("dev", "prod")
HELD_S = 120  # so long after its start a pod of the app that is not ready will not get ready by itself


def deploy(log: Log) -> str:
    """Wait until both environments are synced to the head of the env repo, healthy, and answer with git's version."""
    head = envrepo.head(log)
    wanted = {name: envrepo.tag(log, name) for name in ENVIRONMENTS}
    if _serve(log, head, wanted):
        return "kept"
    cluster.apply(log, settings.SOURCES / "env-repo" / "argocd" / "application.yaml")
    _replace_held(log)
    try:
        cluster.wait_for(
            log,
            f"both applications at {head[:7]}",
            lambda: _serve_after_refresh(log, head, wanted),
            timeout_s=300,
            pause_s=3,
        )
    except LabError as error:
        log.say(cluster.kubectl(log, "get", "applications", "--namespace=argocd", "--output=yaml", check=False))
        raise LabError(f"{error}; {_what_applications_say(log)}") from error
    return ", ".join(f"{name} {tag}" for name, tag in wanted.items())


def rows(log: Log) -> list[tuple[str, bool, str]]:
    """Each Application: its name, whether it is well, and its state in words."""
    states = {state["metadata"]["name"]: state.get("status", {}) for state in _listed(log)}
    found = []
    for name in ENVIRONMENTS:
        status = states.get(f"angelpay-{name}", {})
        sync, health = status.get("sync", {}), status.get("health", {}).get("status", "?")
        answer, _ = get(f"angelpay-{name}.lab", "/ready")
        well = is_at(status, sync.get("revision", "")) and answer == http.client.OK
        seen = f"{sync.get('status', '?')} at {str(sync.get('revision', '?'))[:7]}, {health}"
        about = f"{seen}, /ready answers {answer or 'nothing'}"
        found.append((f"angelpay-{name}", well, about))
    return found


def _replace_held(log: Log) -> None:
    """Delete pods that wait for a database that is gone: after the fault database-lost nothing else ends that, as an
    app without a read time-out keeps its connection to a server that was lost."""
    for name in ENVIRONMENTS:
        namespace = f"--namespace=angelpay-{name}"
        listed = cluster.kubectl(log, "get", "pods", namespace, "--output=json", check=False)
        if pods := held(json.loads(listed)["items"] if listed.strip() else [], datetime.now(UTC)):
            cluster.kubectl(log, "delete", "pods", namespace, "--wait=false", "--ignore-not-found", *pods)


def held(pods: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """The names of those that run, and have not become ready since HELD_S."""
    found = []
    for pod in pods:
        status = pod.get("status", {})
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
        since = datetime.fromisoformat(status.get("startTime", now.isoformat()))
        if status.get("phase") == "Running" and not ready and now - since > timedelta(seconds=HELD_S):
            found.append(str(pod["metadata"]["name"]))
    return found


def _serve_after_refresh(log: Log, head: str, wanted: Mapping[str, str]) -> bool:
    """Request a refresh: a controller that has just started may miss that pods became ready, until its next poll."""
    if _serve(log, head, wanted):
        return True
    refresh = (
        "annotate",
        "applications",
        "--namespace=argocd",
        "--all",
        "argocd.argoproj.io/refresh=normal",
        "--overwrite",
    )
    cluster.kubectl(log, *refresh)
    return False


def _serve(log: Log, head: str, wanted: Mapping[str, str]) -> bool:
    for name, tag in wanted.items():
        status, text = get(f"angelpay-{name}.lab", "/health")
        if status != http.client.OK or f'"version":"{tag}"' not in re.sub(r"\s", "", text):
            return False
    states = {state["metadata"]["name"]: state.get("status", {}) for state in _listed(log)}
    return all(is_at(states.get(f"angelpay-{name}", {}), head) for name in wanted) and _autoscaler_reads(log)


def _autoscaler_reads(log: Log) -> bool:
    words = ("get", "horizontalpodautoscaler/angelpay", "--namespace=angelpay-prod", "--output=json")
    found = cluster.kubectl(log, *words, check=False)
    return bool(found.strip()) and reads_metrics(json.loads(found))


def reads_metrics(autoscaler: Mapping[str, Any]) -> bool:
    """Whether it does. In the minute before it does for the first time, Argo CD calls a new Application Healthy, then
    Degraded, then Healthy again."""
    conditions = autoscaler.get("status", {}).get("conditions") or []
    return any(one["type"] == "ScalingActive" and one["status"] == "True" for one in conditions)


def is_at(status: Mapping[str, Any], head: str) -> bool:
    """Synced to that revision, Healthy, and without an error: the controller of 2.14 may look for the project before it
    has read it, and keeps the error until somebody asks for a refresh."""
    sync, health = status.get("sync", {}), status.get("health", {})
    wrong = any(str(one.get("type", "")).endswith("Error") for one in status.get("conditions") or [])
    at_head = sync.get("status") == "Synced" and sync.get("revision") == head
    return bool(at_head and health.get("status") == "Healthy" and not wrong)


def _listed(log: Log) -> list[Any]:
    listed = cluster.kubectl(log, "get", "applications", "--namespace=argocd", "--output=json", check=False)
    return list(json.loads(listed)["items"]) if listed.strip() else []


def _what_applications_say(log: Log) -> str:
    said = []
    for state in _listed(log):
        status = state.get("status", {})
        words = [status.get("sync", {}).get("status", "?"), status.get("health", {}).get("status", "?")]
        words += [condition["message"][:200] for condition in status.get("conditions", [])]
        said.append(f"{state['metadata']['name']}: {', '.join(words)}")
    return "; ".join(said) or "no Application exists"


def get(host: str, path: str) -> tuple[int, str]:
    """One request through the ingress, over a new connection: (status, body); status 0 if nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.INGRESS_PORT, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()

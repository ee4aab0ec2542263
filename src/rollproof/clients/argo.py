"""Argo: one Argo CD Application through the Kubernetes API (docs/argocd.md 2.2 and 4).

It reads, asks for a refresh, and can start the sync that resets the self-heal count. It must never decide whether a
revision is deployed: the fields it returns each have a trap, and the release waits know them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.outside import Outside, without_nulls
from rollproof.core.target import Target

__all__ = [
    "ApplicationState", "Argo", "Automation", "ControllerSettings", "application_state", "argocd_kube", "automation",
]  # fmt: skip


_APART_NS = 10**9  # the least time between two requests for a comparison
_LOST_NS = 10 * 10**9  # after so long without an answer a request for a comparison is lost
_NOT_COMPARED = ("ComparisonError", "InvalidSpecError", "UnknownError")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationState:
    """What an Application says, in the words of docs/facts.md. Empty strings where it says nothing.

    `attempts` is autoHealAttemptsCount of the last operation (absent = 0); `finished_at` has a grain of 1 s and comes
    from another clock; `operation_revision` is what the last operation synced, or tried to.
    """

    sync_status: str = ""
    sync_revision: str = ""
    compared_to_spec: bool = True
    health: str = ""
    operation_pending: bool = False
    refresh_pending: bool = False
    phase: str = ""
    operation_revision: str = ""
    attempts: int = 0
    automated: bool = False
    initiated_by: str = ""
    started_at: str = ""
    finished_at: str = ""
    message: str = ""
    conditions: tuple[str, ...] = ()
    resource_version: str = ""

    @property
    def why_not_compared(self) -> str:
        """Why Argo CD cannot say what git declares; "" if it can, or has not been asked yet."""
        said = [one for one in self.conditions if one.partition(":")[0] in _NOT_COMPARED]
        return said[0] if said else "its sync status is Unknown" if self.sync_status == "Unknown" else ""


@dataclass(frozen=True, slots=True)
class Automation:
    """What the Application's own spec says of automated sync: is it `on`, and does it `self_heal`?"""

    on: bool
    self_heal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """Self-heal settings as far as they can be read; `readable` is False when defaults were assumed."""

    version: str = ""  # of the application-controller's image; "" if unknown
    fixed_delay_s: float = 0.0
    backoff_start_s: float = 2.0
    backoff_factor: float = 3.0
    backoff_cap_s: float = 300.0
    backoff_cooldown_s: float = 330.0
    reconciliation: str = ""  # timeout.reconciliation as it is written; "" if unknown
    jitter: str = ""  # timeout.reconciliation.jitter, likewise
    readable: bool = False


def automation(application: Object) -> Automation:
    """Whether Argo CD syncs by itself (SyncPolicy.IsAutomatedSyncEnabled of 3.x).

    `automated: {}` is on: the one field that says something by being there. `enabled: false` turns it off (since 3.1).
    """
    policy = without_nulls((application.get("spec") or {}).get("syncPolicy") or {})
    automated = policy.get("automated")
    on = automated is not None and automated.get("enabled") is not False
    return Automation(on, on and bool((automated or {}).get("selfHeal")))


def application_state(application: Object) -> ApplicationState:
    """The state in an Application object."""
    application = without_nulls(application)  # Argo CD 3.6 leaves "operation": null behind
    metadata, spec = application.get("metadata") or {}, application.get("spec") or {}
    status = application.get("status") or {}
    sync, operation_state = status.get("sync") or {}, status.get("operationState") or {}
    operation = operation_state.get("operation") or {}
    initiated = operation.get("initiatedBy") or {}
    asked = (operation.get("sync") or {}).get("revision", "")  # an operation that failed early has no result
    compared = (sync.get("comparedTo") or {}).get("source")
    annotations = metadata.get("annotations") or {}
    return ApplicationState(
        sync_status=str(sync.get("status", "")),
        sync_revision=str(sync.get("revision", "")),
        compared_to_spec=compared is None or _said(compared) == _said(spec.get("source")),
        health=str((status.get("health") or {}).get("status", "")),
        operation_pending=bool(application.get("operation")),
        refresh_pending=annotations.get("argocd.argoproj.io/refresh") is not None,
        phase=str(operation_state.get("phase", "")),
        operation_revision=str((operation_state.get("syncResult") or {}).get("revision") or asked),
        attempts=int((operation.get("sync") or {}).get("autoHealAttemptsCount") or 0),
        automated=bool(initiated.get("automated")),
        initiated_by=str(initiated.get("username", "")),
        started_at=str(operation_state.get("startedAt", "")),
        finished_at=str(operation_state.get("finishedAt", "")),
        message=str(operation_state.get("message", "")),
        conditions=tuple(
            f"{condition.get('type')}: {condition.get('message', '')}"[:300]
            for condition in status.get("conditions") or ()
        ),
        resource_version=str(metadata.get("resourceVersion", "")),
    )


def _said(value: Any) -> Any:
    """Without what says nothing, at every depth: Argo CD writes what it has read without a field that is "", false, 0
    or empty (`omitempty`), and the Application keeps it as somebody wrote it (`targetRevision: ""`)."""
    if isinstance(value, Mapping):
        told = {key: _said(one) for key, one in value.items()}
        return {key: one for key, one in told.items() if one}
    return [_said(one) for one in value] if isinstance(value, list) else value


def argocd_kube(target: Target, kube: Kube) -> Kube:
    """Where Argo CD lives, for whoever has the way to the app: that one, unless the target names another context."""
    argocd = target.argocd
    return Kube(argocd.context, argocd.kubeconfig or target.cluster.kubeconfig) if argocd.context else kube


@dataclass(frozen=True, slots=True)
class Argo:
    """One Application. `kube` is the context where Argo CD lives, which may not be the app's."""

    kube: Kube
    namespace: str
    application: str

    def read(self) -> Object:
        """The whole object."""
        return self.kube.get("Application", self.namespace, self.application)

    def state(self) -> ApplicationState:
        """What it says now."""
        return application_state(self.read())

    def refresh(self) -> None:
        """Ask for a comparison with the newest commit; both annotations, because of the lost-request race (#28392)."""
        annotations = {
            "argocd.argoproj.io/refresh": "normal",
            "argocd.argoproj.io/refresh-timestamp": f"{time.time_ns()}",
        }
        self._patch({"metadata": {"annotations": annotations}})

    def refresh_unless_asked(self) -> None:
        """The same, where nobody waits for an answer, and at most once a second: its answer is an event that wakes
        whoever looks, and asks again. Who has waited for 10 s asks again as well: the request is lost.

        Seen on 3.6.1: one that was made 50 ms after the answer to the one before stayed pending (docs/argocd.md 2.1).
        """
        annotations = Outside.of(self.read(), "the Application").child("metadata").child("annotations")
        asked = annotations.text("argocd.argoproj.io/refresh-timestamp")
        since_ns = time.time_ns() - int(asked) if asked.isdecimal() else _LOST_NS
        pending = bool(annotations.text("argocd.argoproj.io/refresh"))
        if not 0 <= since_ns < (_LOST_NS if pending else _APART_NS):  # below 0: by another clock
            self.refresh()

    def sync_to_reset(self, revision: str) -> int:
        """Start a full sync to `revision`; with operationState nulled the self-heal count starts again at 0 (1.4).

        Returns the version of that write: time stamps have a grain of 1 s, so only what is newer tells of this sync.
        """
        operation = {
            "initiatedBy": {"username": "rollproof"},
            "sync": {"revision": revision, "syncStrategy": {"apply": {}}},
        }
        written = self._patch({"operation": operation, "status": {"operationState": None}})
        return int(written["metadata"]["resourceVersion"])

    def settings(self) -> ControllerSettings:
        """Self-heal settings from the ConfigMaps and the controller's image; defaults where they cannot be read."""
        home = self._home()
        parameters = self._configmap(home, "argocd-cmd-params-cm")
        general = self._configmap(home, "argocd-cm")
        readable = parameters is not None
        parameters = parameters or {}

        def number(key: str, default: float) -> float:
            try:  # integers only: Argo CD itself ignores "150s" (#10924)
                return float(int(parameters.get(f"controller.self.heal.{key}", default)))
            except ValueError:
                return default

        return ControllerSettings(
            version=self._version(home),
            fixed_delay_s=number("timeout.seconds", 0),
            backoff_start_s=number("backoff.timeout.seconds", 2),
            backoff_factor=number("backoff.factor", 3),
            backoff_cap_s=number("backoff.cap.seconds", 300),
            backoff_cooldown_s=number("backoff.cooldown.seconds", 330),
            reconciliation=str((general or {}).get("timeout.reconciliation", "")),
            jitter=str((general or {}).get("timeout.reconciliation.jitter", "")),
            readable=readable,
        )

    def project(self, name: str) -> Object:
        """An AppProject, from where Argo CD itself lives."""
        return self.kube.get("AppProject", self._home(), name)

    def sync_windows(self, project: str) -> list[Mapping[str, Any]] | None:
        """The project's sync windows; None if they are unknown: it may not be read, or is not where it should be."""
        try:
            found = self.kube.find("AppProject", self._home(), project)
        except ApiError:
            return None
        return None if found is None else list((found.get("spec") or {}).get("syncWindows") or ())

    def _home(self) -> str:
        """Argo CD's own namespace, where its AppProjects and settings are: an Application may live in another one."""
        try:
            found = self.kube.find("Application", self.namespace, self.application) or {}
        except ApiError:
            return self.namespace
        return str((found.get("status") or {}).get("controllerNamespace") or self.namespace)

    def _configmap(self, namespace: str, name: str) -> Mapping[str, str] | None:
        try:
            found = self.kube.find("ConfigMap", namespace, name)
        except ApiError:
            return None
        return None if found is None else found.get("data") or {}

    def _version(self, namespace: str) -> str:
        try:
            controllers = self.kube.list("StatefulSet", namespace)["items"]
        except ApiError:
            return ""
        for controller in controllers:
            for container in controller["spec"]["template"]["spec"]["containers"]:
                name, _, tag = str(container["image"]).rpartition(":")
                if "argocd" in name and "redis" not in name:
                    return tag
        return ""

    def _patch(self, body: Object) -> Object:
        return self.kube.patch("Application", self.namespace, self.application, body)

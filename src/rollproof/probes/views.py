"""Views: the few fields of a Kubernetes object that a fact holds, typed. The words are those of docs/facts.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import Object

__all__ = ["DeploymentView", "EndpointSliceView", "PodView", "ReplicaSetView", "image_tag", "label_selector"]


def image_tag(image: str) -> str:
    """The tag of an image reference: "ghcr.io/shop/web:abc" -> "abc"; "" if there is none."""
    name = image.split("@", 1)[0]
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""


def label_selector(deployment: Object) -> str:
    """A Deployment's selector in the form that a list request takes."""
    selector = deployment["spec"]["selector"]
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], ",".join(rule.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(rule["operator"], f"!{key}"))
    return ",".join(parts)


def _container(containers: list[Object], name: str) -> Object:
    chosen = [container for container in containers if not name or container.get("name") == name]
    return chosen[0] if chosen else {}


def _owner(metadata: Object, kind: str) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((str(owner["name"]) for owner in owners if owner.get("kind") == kind), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A pod. `reason` is why a container waits or ended (ImagePullBackOff, CrashLoopBackOff, ...)."""

    uid: str
    replicaset: str
    template_hash: str
    image: str
    image_id: str
    phase: str
    ready: bool
    ready_since: str
    terminating: bool
    node: str
    ip: str
    restarts: int
    reason: str

    @classmethod
    def of(cls, pod: Object, container: str = "") -> PodView:
        """The view of a Pod object; `container` names the app's container ("" = the first)."""
        metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
        wanted = _container(spec.get("containers") or [], container)
        statuses = status.get("containerStatuses") or []  # in an order of their own, not the spec's
        own: Object = next((one for one in statuses if one.get("name") == wanted.get("name")), {})
        ready: Object = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
        stuck = _stuck([own, *(status.get("initContainerStatuses") or []), *statuses])
        return cls(
            uid=str(metadata.get("uid", "")),
            replicaset=_owner(metadata, "ReplicaSet"),
            template_hash=str((metadata.get("labels") or {}).get("pod-template-hash", "")),
            image=str(wanted.get("image", "")),
            image_id=str(own.get("imageID", "")),
            phase=str(status.get("phase", "")),
            ready=ready.get("status") == "True",
            ready_since=str(ready.get("lastTransitionTime") or "") if ready.get("status") == "True" else "",
            terminating="deletionTimestamp" in metadata,
            node=str(spec.get("nodeName", "")),
            ip=str(status.get("podIP", "")),
            restarts=int(own.get("restartCount", 0)),
            reason=stuck or str(status.get("reason") or ""),
        )


def _stuck(statuses: list[Object]) -> str:
    """Why a container waits or ended badly: the first reason in this order, "" if all is well."""
    for one in statuses:
        state: dict[str, Any] = one.get("state") or {}
        for kind in ("waiting", "terminated"):
            reason = (state.get(kind) or {}).get("reason")
            if reason and reason != "Completed":
                return str(reason)
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetView:
    """A ReplicaSet; `revision` is the Deployment's number for it: the highest is the current one."""

    uid: str
    template_hash: str
    image: str
    revision: int
    replicas: int
    ready: int
    available: int

    @classmethod
    def of(cls, replicaset: Object, container: str = "") -> ReplicaSetView:
        """The view of a ReplicaSet object."""
        metadata, spec, status = replicaset["metadata"], replicaset.get("spec") or {}, replicaset.get("status") or {}
        template = (spec.get("template") or {}).get("spec") or {}
        annotations = metadata.get("annotations") or {}
        return cls(
            uid=str(metadata.get("uid", "")),
            template_hash=str((metadata.get("labels") or {}).get("pod-template-hash", "")),
            image=str(_container(template.get("containers") or [], container).get("image", "")),
            revision=int(annotations.get("deployment.kubernetes.io/revision", 0)),
            replicas=int(status.get("replicas", 0)),
            ready=int(status.get("readyReplicas", 0)),
            available=int(status.get("availableReplicas", 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """A Deployment, with what `kubectl rollout status` looks at."""

    uid: str
    generation: int
    observed_generation: int
    spec_replicas: int
    replicas: int
    updated: int
    available: int
    ready: int
    image: str
    paused: bool
    deadline_exceeded: bool
    resource_version: str

    @classmethod
    def of(cls, deployment: Object, container: str = "") -> DeploymentView:
        """The view of a Deployment object."""
        metadata, spec, status = deployment["metadata"], deployment.get("spec") or {}, deployment.get("status") or {}
        template = (spec.get("template") or {}).get("spec") or {}
        reasons = {item.get("reason") for item in status.get("conditions") or () if item.get("type") == "Progressing"}
        return cls(
            uid=str(metadata.get("uid", "")),
            generation=int(metadata.get("generation", 0)),
            observed_generation=int(status.get("observedGeneration", 0)),
            spec_replicas=int(spec.get("replicas", 1)),
            replicas=int(status.get("replicas", 0)),
            updated=int(status.get("updatedReplicas", 0)),
            available=int(status.get("availableReplicas", 0)),
            ready=int(status.get("readyReplicas", 0)),
            image=str(_container(template.get("containers") or [], container).get("image", "")),
            paused=bool(spec.get("paused")),
            deadline_exceeded="ProgressDeadlineExceeded" in reasons,
            resource_version=str(metadata.get("resourceVersion", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSliceView:
    """An EndpointSlice: addresses by condition."""

    service: str
    ready: tuple[str, ...]
    serving: tuple[str, ...]
    terminating: tuple[str, ...]

    @classmethod
    def of(cls, endpointslice: Object) -> EndpointSliceView:
        """The view of an EndpointSlice object."""
        labels = endpointslice["metadata"].get("labels") or {}
        endpoints = endpointslice.get("endpoints") or ()

        def addresses(holds: Callable[[Mapping[str, Any]], bool]) -> tuple[str, ...]:
            chosen = [endpoint for endpoint in endpoints if holds(endpoint.get("conditions") or {})]
            return tuple(sorted(address for endpoint in chosen for address in endpoint["addresses"]))

        def ready(conditions: Mapping[str, Any]) -> bool:
            return conditions.get("ready") is not False  # the API: unknown counts as ready

        def serving(conditions: Mapping[str, Any]) -> bool:
            value = conditions.get("serving")
            return ready(conditions) if value is None else bool(value)

        return cls(
            service=str(labels.get("kubernetes.io/service-name", "")),
            ready=addresses(ready),
            serving=addresses(serving),
            terminating=addresses(lambda conditions: bool(conditions.get("terminating"))),
        )

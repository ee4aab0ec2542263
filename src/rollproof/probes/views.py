"""Views: the few fields of a Kubernetes object that a fact holds, typed. The words are those of docs/facts.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rollproof.clients.kube import Object
from rollproof.core.outside import Outside, shown

__all__ = ["DeploymentView", "EndpointSliceView", "PodView", "ReplicaSetView", "image_tag", "label_selector"]


_REVISION = "deployment.kubernetes.io/revision"


def image_tag(image: str) -> str:
    """The tag of an image reference: "ghcr.io/shop/web:abc" -> "abc"; "" if there is none."""
    name = image.split("@", 1)[0]
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""


def label_selector(deployment: Object) -> str:
    """A Deployment's selector in the form that a list request takes. OutsideDataError if it is none."""
    selector = _seen("Deployment", deployment).child("spec").child("selector")
    parts = [f"{key}={value}" for key, value in selector.table("matchLabels").items()]
    for rule in selector.objects("matchExpressions"):
        key, values = rule.needed("key"), ",".join(rule.texts("values"))
        forms = {
            "In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}",
        }  # fmt: skip
        if rule.text("operator") not in forms:
            rule.refuse("operator", f"one of {', '.join(forms)}")
        parts.append(forms[rule.text("operator")])
    if not parts:
        selector.refuse("matchLabels", "there: without a selector every pod would count as the Deployment's")
    return ",".join(parts)


def _seen(kind: str, item: Object) -> Outside:
    """An object of the API; its name is in every message about it."""
    whole = Outside.of(item, kind)
    return Outside.of(item, f"{kind} {shown(whole.child('metadata').text('name'))} of the API")


def _container(spec: Outside, name: str) -> Outside:
    chosen = [container for container in spec.objects("containers") if not name or container.text("name") == name]
    return chosen[0] if chosen else Outside.of({}, spec.who)


def _owner(metadata: Outside, kind: str) -> str:
    owners = metadata.objects("ownerReferences")
    return next((owner.text("name") for owner in owners if owner.text("kind") == kind), "")


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
        seen = _seen("Pod", pod)
        metadata, spec, status = seen.child("metadata"), seen.child("spec"), seen.child("status")
        wanted = _container(spec, container)
        statuses = status.objects("containerStatuses")  # in an order of their own, not the spec's
        nothing = Outside.of({}, seen.who)
        own = next((one for one in statuses if one.text("name") == wanted.text("name")), nothing)
        ready = next((one for one in status.objects("conditions") if one.text("type") == "Ready"), nothing)
        is_ready = ready.text("status") == "True"
        stuck = _stuck([own, *status.objects("initContainerStatuses"), *statuses])
        return cls(
            uid=metadata.text("uid"),
            replicaset=_owner(metadata, "ReplicaSet"),
            template_hash=metadata.table("labels").get("pod-template-hash", ""),
            image=wanted.text("image"),
            image_id=own.text("imageID"),
            phase=status.text("phase"),
            ready=is_ready,
            ready_since=ready.text("lastTransitionTime") if is_ready else "",
            terminating=metadata.has("deletionTimestamp"),
            node=spec.text("nodeName"),
            ip=status.text("podIP"),
            restarts=own.count("restartCount"),
            reason=stuck or status.text("reason"),
        )


def _stuck(statuses: list[Outside]) -> str:
    """Why a container waits or ended badly: the first reason in this order, "" if all is well."""
    for one in statuses:
        for kind in ("waiting", "terminated"):
            reason = one.child("state").child(kind).text("reason")
            if reason and reason != "Completed":
                return reason
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
        seen = _seen("ReplicaSet", replicaset)
        metadata, status = seen.child("metadata"), seen.child("status")
        annotations = metadata.child("annotations")
        revision = annotations.text(_REVISION, "0")
        if not (revision.isascii() and revision.isdecimal() and len(revision) < 19):
            annotations.refuse(_REVISION, "a whole number")
        return cls(
            uid=metadata.text("uid"),
            template_hash=metadata.table("labels").get("pod-template-hash", ""),
            image=_container(seen.child("spec").child("template").child("spec"), container).text("image"),
            revision=int(revision),
            replicas=status.count("replicas"),
            ready=status.count("readyReplicas"),
            available=status.count("availableReplicas"),
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
        seen = _seen("Deployment", deployment)
        metadata, spec, status = seen.child("metadata"), seen.child("spec"), seen.child("status")
        reasons = {one.text("reason") for one in status.objects("conditions") if one.text("type") == "Progressing"}
        return cls(
            uid=metadata.text("uid"),
            generation=metadata.count("generation"),
            observed_generation=status.count("observedGeneration"),
            spec_replicas=spec.count("replicas", 1),
            replicas=status.count("replicas"),
            updated=status.count("updatedReplicas"),
            available=status.count("availableReplicas"),
            ready=status.count("readyReplicas"),
            image=_container(spec.child("template").child("spec"), container).text("image"),
            paused=spec.flag("paused"),
            deadline_exceeded="ProgressDeadlineExceeded" in reasons,
            resource_version=metadata.text("resourceVersion"),
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
        seen = _seen("EndpointSlice", endpointslice)
        endpoints = seen.objects("endpoints")

        def addresses(holds: Callable[[Outside], bool]) -> tuple[str, ...]:
            chosen = [endpoint for endpoint in endpoints if holds(endpoint.child("conditions"))]
            return tuple(sorted(address for endpoint in chosen for address in endpoint.texts("addresses")))

        def ready(conditions: Outside) -> bool:
            return conditions.flag("ready", default=True)  # the API: unknown counts as ready

        return cls(
            service=seen.child("metadata").table("labels").get("kubernetes.io/service-name", ""),
            ready=addresses(ready),
            serving=addresses(lambda conditions: conditions.flag("serving", default=ready(conditions))),
            terminating=addresses(lambda conditions: conditions.flag("terminating")),
        )

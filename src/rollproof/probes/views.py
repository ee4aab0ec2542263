"""Views: the few fields of a Kubernetes object that a fact contains, typed. Their words are those of docs/facts.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from rollproof.clients.kube import Object
from rollproof.core.outside import Outside, shown, without_nulls
from rollproof.core.watched import ENDED_PHASES

__all__ = [
    "AutoscalerView", "DeploymentView", "EndpointSliceView", "NodeView", "PodView", "ReplicaSetView",
    "app_container", "image_name", "image_tag", "label_selector", "those_that_serve",
]  # fmt: skip


# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_SUFFIXES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_QUANTITY = re.compile(rf"(\d{{1,18}}(?:\.\d{{1,9}})?)({'|'.join(_SUFFIXES)})")
_REVISION = "deployment.kubernetes.io/revision"


def image_tag(image: str) -> str:
    """The tag of an image reference: "ghcr.io/shop/web:abc" -> "abc"; "" if there is none."""
    name = image.split("@", 1)[0]
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""


def label_selector(deployment: Object) -> str:
    """A Deployment's selector in the form that a list request takes. OutsideDataError if it cannot be read."""
    selector = _seen("Deployment", without_nulls(deployment)).child("spec").child("selector")
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
    """An object of the API; every message about it has its name."""
    whole = Outside.of(item, kind)
    return Outside.of(item, f"{kind} {shown(whole.child('metadata').text('name'))} of the API")


def image_name(image: str) -> str:
    """An image reference without tag and digest: "ghcr.io/shop/web:abc" -> "ghcr.io/shop/web"."""
    name, tag = image.split("@", 1)[0], image_tag(image)
    return name.removesuffix(f":{tag}") if tag else name


def app_container(spec: Outside, name: str = "", image: str = "") -> Outside:
    """The app's container in a pod's spec: the one of that name, else the only one with that image, else the only one.

    Empty if that is ambiguous. Never by position: sidecars may come before it, and containers that are injected into
    pods are in no template.
    """
    containers = spec.objects("containers")
    named = [one for one in containers if name and one.text("name") == name]
    of_image = [one for one in containers if image and image_name(one.text("image")) == image]
    nothing = Outside.of({}, spec.who)
    return next((chosen[0] for chosen in (named, of_image, containers) if len(chosen) == 1), nothing)


def _controller(metadata: Outside) -> Outside:
    """The owner that controls the object; empty if there is none."""
    owners = metadata.objects("ownerReferences")
    controlling = [one for one in owners if one.flag("controller")]
    return next(iter(controlling or owners[: len(owners) == 1]), Outside.of({}, metadata.who))


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A pod. `reason` is why a container waits or ended (ImagePullBackOff, CrashLoopBackOff, ...).

    `owner` is the controlling owner ("Job/migrate", "" if none). `member`: whether the pod belongs to a ReplicaSet that
    the Deployment owns, None if unknown. `in_service`: whether the Service's selector selects it.
    """

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
    owner: str = ""
    owner_uid: str = ""
    member: bool | None = None
    in_service: bool | None = None

    @property
    def ended(self) -> bool:
        """Whether it can never run again. Such a pod does not answer; one that is being deleted may still do."""
        return self.phase in ENDED_PHASES

    @property
    def serves(self) -> bool:
        """Whether it is ready, and to stay so: neither being deleted nor ended."""
        return self.ready and not self.terminating and not self.ended

    @classmethod
    def of(cls, pod: Object, container: str = "", image: str = "") -> PodView:
        """The view of a Pod object; `container` and `image` identify the app's container (`app_container`)."""
        seen = _seen("Pod", pod)
        metadata, spec, status = seen.child("metadata"), seen.child("spec"), seen.child("status")
        wanted, owner = app_container(spec, container, image), _controller(metadata)
        kind = owner.text("kind")
        statuses = status.objects("containerStatuses")  # in an order of its own, not that of the spec
        nothing = Outside.of({}, seen.who)
        own = next((one for one in statuses if one.text("name") == wanted.text("name")), nothing)
        ready = next((one for one in status.objects("conditions") if one.text("type") == "Ready"), nothing)
        is_ready = ready.text("status") == "True"
        stuck = _stuck([own, *status.objects("initContainerStatuses"), *statuses])
        return cls(
            uid=metadata.text("uid"),
            replicaset=owner.text("name") if kind == "ReplicaSet" else "",
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
            owner=f"{kind}/{owner.text('name')}" if kind else "",
            owner_uid=owner.text("uid"),
        )


def _stuck(statuses: list[Outside]) -> str:
    """Why a container waits or ended badly: the first reason in this order, "" if all is well."""
    for one in statuses:
        for kind in ("waiting", "terminated"):
            reason = one.child("state").child(kind).text("reason")
            if reason and reason != "Completed":
                return reason
    return ""


def those_that_serve(pods: Mapping[str, PodView], addresses: Set[str]) -> dict[str, PodView]:
    """The pods that get new connections of the Service and are to stay, by name, in the order of their names.

    addresses: those that the EndpointSlices call ready. They decide; a selector says only what they will be.
    """
    return {name: pod for name, pod in sorted(pods.items()) if pod.serves and pod.ip in addresses}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetView:
    """A ReplicaSet; `revision` is the Deployment's number for it: the highest is the current one.

    failure: why pods could not be made or deleted, by its condition ReplicaFailure (FailedCreate, FailedDelete).
    """

    uid: str
    template_hash: str
    image: str
    revision: int
    replicas: int
    ready: int
    available: int
    owner_uid: str = ""  # of the Deployment that controls it
    failure: str = ""

    @classmethod
    def of(cls, replicaset: Object, container: str = "", image: str = "") -> ReplicaSetView:
        """The view of a ReplicaSet object."""
        seen = _seen("ReplicaSet", replicaset)
        metadata, status = seen.child("metadata"), seen.child("status")
        annotations = metadata.child("annotations")
        revision = annotations.text(_REVISION, "0")
        if not (revision.isascii() and revision.isdecimal() and len(revision) < 19):
            annotations.refuse(_REVISION, "a whole number")
        failed = (one for one in status.objects("conditions") if one.text("type") == "ReplicaFailure")
        failures = (one.text("reason") for one in failed if one.text("status") == "True")
        return cls(
            uid=metadata.text("uid"),
            template_hash=metadata.table("labels").get("pod-template-hash", ""),
            image=app_container(seen.child("spec").child("template").child("spec"), container, image).text("image"),
            revision=int(revision),
            replicas=status.count("replicas"),
            ready=status.count("readyReplicas"),
            available=status.count("availableReplicas"),
            owner_uid=_controller(metadata).text("uid"),
            failure=next(failures, ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentView:
    """A Deployment, with the fields that `kubectl rollout status` reads.

    replicas_by: the field managers that own `spec.replicas`, by managedFields.
    """

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
    replicas_by: tuple[str, ...] = ()

    @classmethod
    def of(cls, deployment: Object, container: str = "", image: str = "") -> DeploymentView:
        """The view of a Deployment object."""
        seen = _seen("Deployment", deployment)
        metadata, spec, status = seen.child("metadata"), seen.child("spec"), seen.child("status")
        reasons = {one.text("reason") for one in status.objects("conditions") if one.text("type") == "Progressing"}
        entries = metadata.objects("managedFields")
        owners = {one.text("manager") for one in entries if _owns_replicas(one)}
        return cls(
            uid=metadata.text("uid"),
            generation=metadata.count("generation"),
            observed_generation=status.count("observedGeneration"),
            spec_replicas=spec.count("replicas", 1),
            replicas=status.count("replicas"),
            updated=status.count("updatedReplicas"),
            available=status.count("availableReplicas"),
            ready=status.count("readyReplicas"),
            image=app_container(spec.child("template").child("spec"), container, image).text("image"),
            paused=spec.flag("paused"),
            deadline_exceeded="ProgressDeadlineExceeded" in reasons,
            resource_version=metadata.text("resourceVersion"),
            replicas_by=tuple(sorted(owners)),
        )


def _owns_replicas(entry: Outside) -> bool:
    """Of one entry of managedFields, which has an empty table for a field that is owned."""
    return entry.child("fieldsV1").child("f:spec").value.get("f:replicas") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalerView:
    """A HorizontalPodAutoscaler. `use`: what it measures as a share of its target, of the metric that is used most.

    `use` is None where it knows none; `metrics` has all as words. `reason`: why it cannot scale, by its condition
    ScalingActive. `window_s`: how long a lower use must last before it goes down; `up_window_s` the same of going up.
    `tolerance`: by so much `use` may differ from 1. `of_resources`: whether any metric is of pods' CPU or memory.
    `disabled`: the direction in which its selectPolicy forbids to scale, "up" or "down".
    """

    uid: str
    min_replicas: int
    max_replicas: int
    current: int
    desired: int
    use: float | None
    metrics: tuple[str, ...]
    reason: str
    window_s: float
    up_window_s: float
    tolerance: float
    of_resources: bool
    disabled: str

    @classmethod
    def of(cls, autoscaler: Object) -> AutoscalerView:
        """The view of a HorizontalPodAutoscaler object, with Kubernetes' defaults for what it does not say."""
        seen = _seen("HorizontalPodAutoscaler", autoscaler)
        spec, status = seen.child("spec"), seen.child("status")
        up, down = (spec.child("behavior").child(way) for way in ("scaleUp", "scaleDown"))
        inactive = [
            one.text("reason") or "Unknown" for one in status.objects("conditions")
            if one.text("type") == "ScalingActive" and one.text("status") != "True"
        ]  # fmt: skip
        uses = [] if inactive else _uses(spec, status)
        off = [name for name, way in (("up", up), ("down", down)) if way.text("selectPolicy") == "Disabled"]
        return cls(
            uid=seen.child("metadata").text("uid"),
            min_replicas=spec.count("minReplicas", 1),
            max_replicas=spec.count("maxReplicas"),
            current=status.count("currentReplicas"),
            desired=status.count("desiredReplicas"),
            use=round(max(use for use, _ in uses), 3) if uses else None,
            metrics=tuple(words for _, words in uses),
            reason=next(iter(inactive), ""),
            window_s=down.real("stabilizationWindowSeconds", 300.0),
            up_window_s=up.real("stabilizationWindowSeconds", 0.0),
            tolerance=0.1 if (tolerance := quantity(up.text("tolerance"))) is None else tolerance,
            of_resources=any(one.text("type").endswith("Resource") for one in spec.objects("metrics")),
            disabled=next(iter(off), ""),
        )


def _uses(spec: Outside, status: Outside) -> list[tuple[float, str]]:
    """Of each metric that has a target and a current value in the same form: their quotient, and both in words."""
    current = {_metric(one): one for one in status.objects("currentMetrics")}
    found = []
    for one in spec.objects("metrics"):
        place, name, _ = metric = _metric(one)
        target = one.child(place).child("target")
        now = current[metric].child(place).child("current") if metric in current else target.child("none")
        for form, unit in (("averageUtilization", " %"), ("averageValue", ""), ("value", "")):
            wanted, seen = _number(target, form), _number(now, form)
            if wanted and seen is not None:
                found.append((seen / wanted, f"{name} {_said(now, form)}{unit} of {_said(target, form)}{unit}"))
                break
    return found


def _metric(one: Outside) -> tuple[str, str, str]:
    """The field that a metric is in, its name, and of what it is: the CPU of one container is not that of another."""
    kind = one.text("type")
    place = kind[:1].lower() + kind[1:]
    inner = one.child(place)
    of_what = {key: value for key, value in inner.value.items() if key not in ("target", "current")}
    return place, inner.text("name") or inner.child("metric").text("name"), json.dumps(of_what, sort_keys=True)


def _said(values: Outside, form: str) -> str:
    return str(values.value.get(form, ""))


def _number(values: Outside, form: str) -> float | None:
    if values.value.get(form) is None:
        return None
    return values.real(form) if form == "averageUtilization" else quantity(values.text(form))


def quantity(text: str) -> float | None:
    """The number that a Kubernetes quantity is: "250m" is 0.25, "1Gi" 2^30; None if it is none."""
    found = _QUANTITY.fullmatch(text)
    return float(found[1]) * _SUFFIXES[found[2]] if found else None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node. `ready` is its condition's word: True, False, or Unknown (no status from its kubelet for a while).

    taints: each as `key=value:effect`, in their order.
    """

    uid: str
    ready: str
    unschedulable: bool
    taints: tuple[str, ...]

    @classmethod
    def of(cls, node: Object) -> NodeView:
        """The view of a Node object."""
        seen = _seen("Node", node)
        spec = seen.child("spec")
        conditions = seen.child("status").objects("conditions")
        ready = (one.text("status") for one in conditions if one.text("type") == "Ready")
        return cls(
            uid=seen.child("metadata").text("uid"),
            ready=next(ready, "Unknown"),
            unschedulable=spec.flag("unschedulable"),
            taints=tuple(
                f"{one.text('key')}={one.text('value')}:{one.text('effect')}" for one in spec.objects("taints")
            ),
        )

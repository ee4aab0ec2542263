"""Trials: which drifts this target allows, each with its object, field, value and undo. Reads only.

A drift must be of something that git declares and that nobody else writes (docs/argocd.md 1.8); what is not is a Skip
with the reason, so that a missing trial is never mistaken for a passed one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.clients.argo import Argo
from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.outside import Outside
from rollproof.core.plan import Touch
from rollproof.core.target import Target
from rollproof.core.trials import TRIALS, is_fenced
from rollproof.errors import CannotJudgeError, InputError
from rollproof.faults.objects import declared, field_name, read_field
from rollproof.probes.views import app_container, image_tag

__all__ = ["Skip", "Trial", "plan_trial", "plan_trials"]

_ANNOTATION = "rollproof/drift-control"
_DRIFTED = "rollproof-drift"
_FENCED = "it can have an effect on traffic, and the target is marked as production: --i-mean-production allows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One drift of `core.trials`. Without a `path` the object is deleted; `value` is what the field is set to."""

    name: str
    namespace: str
    object_name: str
    path: tuple[str, ...] = ()
    value: Any = None

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return TRIALS[self.name].kind

    @property
    def control(self) -> bool:
        """Must it not be healed?"""
        return TRIALS[self.name].control

    @property
    def subject(self) -> str:
        """The trial's subject on the timeline."""
        return f"Drift/{self.name}"

    @property
    def target(self) -> str:
        """The object as subjects name it."""
        return f"{self.kind}/{self.namespace}/{self.object_name}"

    @property
    def deletes(self) -> bool:
        """Is the whole object deleted?"""
        return TRIALS[self.name].deletes

    @property
    def change(self) -> str:
        """The change in words."""
        return "deleted" if self.deletes else f"{field_name(self.path)} = {self.value!r}"

    @property
    def undo(self) -> str:
        """How it is put back if self-heal does not."""
        if self.name == "void-patch":
            return "none needed: it changes nothing"
        if self.control:
            return "the annotation is removed again"
        return "created again from the saved object" if self.deletes else "set back, if it still has our value"

    def touch(self) -> Touch:
        """The line of the plan."""
        return Touch(drill="drift", subject=self.target, change=self.change, undo=self.undo, trial=self.mark)

    @property
    def mark(self) -> str:
        """What the plan allows by naming it: the trial and its field. The value may follow a release in between."""
        return f"{self.name} {field_name(self.path)}".strip()


@dataclass(frozen=True, slots=True)
class Skip:
    """A trial that this target does not allow, and why."""

    name: str
    reason: str

    @property
    def subject(self) -> str:
        """The trial's subject on the timeline."""
        return f"Drift/{self.name}"

    def touch(self) -> Touch:
        """The line of the plan."""
        return Touch(drill="drift", subject=self.subject, change=f"skipped: {self.reason}", undo="none needed")


class _NotHereError(Exception):
    """This trial is not possible on this target; the text is the reason."""


def plan_trials(target: Target, kube: Kube, argo: Argo) -> list[Trial | Skip]:
    """The target file's trials in its order, resolved against the cluster as it is now."""
    return [plan_trial(name, target, kube, argo) for name in target.drift.trials]


def plan_trial(name: str, target: Target, kube: Kube, argo: Argo) -> Trial | Skip:
    """One trial. A Skip is a statement about the target; an object that is missing or may not be read raises."""
    if is_fenced(name, target):
        return Skip(name, _FENCED)
    try:
        return _PLANNERS[name](_Look(target, kube, argo))
    except _NotHereError as reason:
        return Skip(name, str(reason))


@dataclass(frozen=True, slots=True)
class _Look:
    """What the planners look at."""

    target: Target
    kube: Kube
    argo: Argo

    @property
    def namespace(self) -> str:
        return self.target.cluster.namespace

    def deployment(self) -> Object:
        return self.kube.get("Deployment", self.namespace, self.target.cluster.deployment)

    def service(self) -> Object:
        return self.kube.get("Service", self.namespace, self.target.cluster.service)

    def configmap(self) -> Object:
        named = self.target.drift.configmap
        found = self.kube.find("ConfigMap", self.namespace, named or self._tracked("ConfigMap"))
        if found is None and named:
            message = f"there is no ConfigMap {named!r} in namespace {self.namespace!r}"
            raise InputError(message, "see drift.configmap in the target file")
        if found is None:
            raise CannotJudgeError(f"a ConfigMap of {self.argo.application} is missing", "is the Application synced?")
        return found

    def _tracked(self, kind: str) -> str:
        resources = (self.argo.read().get("status") or {}).get("resources") or ()
        for one in resources:
            if one.get("kind") == kind and one.get("namespace") == self.namespace:
                return str(one["name"])
        raise _NotHereError(f"the Application {self.argo.application} tracks no {kind}")

    def scalers(self) -> list[Object]:
        try:
            return list(self.kube.list("HorizontalPodAutoscaler", self.namespace)["items"])
        except ApiError as error:
            if error.status != 403:
                raise
            reason = "HorizontalPodAutoscalers may not be listed, so nobody can tell whether one owns replicas"
            raise _NotHereError(reason) from None

    def container(self, deployment: Object) -> Object:
        wanted, image = self.target.cluster.container, self.target.env_repo.image
        spec = deployment["spec"]["template"]["spec"]
        name = app_container(Outside.of(spec, "the Deployment's pod template"), wanted, image).text("name")
        for container in spec["containers"]:
            if name and container["name"] == name:
                return dict(container)
        raise _NotHereError(f"the Deployment has no container {wanted or f'with image {image}'!r}, or several")


def _trial(name: str, item: Object, path: tuple[str, ...] = (), value: Any = None) -> Trial:
    if path and not TRIALS[name].control and declared(item, path) is False:
        raise _NotHereError(f"git does not declare {field_name(path)}, so Argo CD would leave it as it is")
    metadata = item["metadata"]
    return Trial(name=name, namespace=metadata["namespace"], object_name=metadata["name"], path=path, value=value)


def _in_container(container: Object, *path: str) -> tuple[str, ...]:
    return ("spec", "template", "spec", "containers", f"name={container['name']}", *path)


def _image(look: _Look) -> Trial:
    deployment = look.deployment()
    container = look.container(deployment)
    image, tag = container["image"], image_tag(container["image"])
    settings, shas = look.target.drift, look.target.release.shas
    other = settings.drift_image_tag or next((sha for sha in shas if sha != tag), "")
    if not tag or not other or other == tag:
        raise _NotHereError("no other image tag is known: set drift.drift_image_tag or release.shas")
    wrong = f"{image.split('@')[0].removesuffix(tag)}{other}"
    return _trial("image", deployment, _in_container(container, "image"), wrong)


def _replicas(look: _Look) -> Trial:
    deployment = look.deployment()
    for scaler in look.scalers():
        reference = scaler["spec"]["scaleTargetRef"]
        if (reference["kind"], reference["name"]) == ("Deployment", deployment["metadata"]["name"]):
            raise _NotHereError(f"replicas belong to the HorizontalPodAutoscaler {scaler['metadata']['name']}")
    if declared(deployment, ("spec", "replicas")) is None:
        raise _NotHereError("nobody can tell whether git declares replicas")
    return _trial("replicas", deployment, ("spec", "replicas"), deployment["spec"]["replicas"] + 1)


def _env(look: _Look) -> Trial:
    deployment = look.deployment()
    container, wanted = look.container(deployment), look.target.drift.env_name
    literal = [one for one in container.get("env") or () if not one.get("valueFrom")]
    chosen = next((one for one in literal if not wanted or one["name"] == wanted), None)
    if chosen is None:
        raise _NotHereError(f"the container has no env variable {wanted or 'with a literal value'}")
    path = _in_container(container, "env", f"name={chosen['name']}", "value")
    return _trial("env", deployment, path, f"{chosen.get('value', '')}-drift")


def _resources(look: _Look) -> Trial:
    deployment = look.deployment()
    container = look.container(deployment)
    limits: Mapping[str, Any] = (container.get("resources") or {}).get("limits") or {}
    for resource in ("memory", "cpu"):
        number = re.fullmatch(r"(\d+)(\D*)", str(limits.get(resource, "")))
        if number:  # one more than declared: always above the request
            path = _in_container(container, "resources", "limits", resource)
            return _trial("resources", deployment, path, f"{int(number[1]) + 1}{number[2]}")
    raise _NotHereError("the container declares no memory or cpu limit")


def _history(look: _Look) -> Trial:
    # One more than declared: no pod is touched, and no ReplicaSet goes that would not have gone anyway.
    deployment, path = look.deployment(), ("spec", "revisionHistoryLimit")
    if declared(deployment, path) is None:  # the API server fills in a default, so that it is always there
        raise _NotHereError("nobody can tell whether git declares spec.revisionHistoryLimit")
    return _trial("revision-history", deployment, path, int(read_field(deployment, path) or 0) + 1)


def _configmap(look: _Look) -> Trial:
    item, key = look.configmap(), look.target.drift.configmap_key
    data = item.get("data") or {}
    chosen = key or next(iter(sorted(data)), "")
    if chosen not in data:
        raise _NotHereError(f"ConfigMap {item['metadata']['name']} has no key {chosen!r}")
    return _trial("configmap", item, ("data", chosen), f"{data[chosen]}-drift")


def _selector(look: _Look) -> Trial:
    item = look.service()
    key = next(iter(sorted(item["spec"].get("selector") or {})), "")
    if not key:
        raise _NotHereError("the Service has no selector")
    return _trial("service-selector", item, ("spec", "selector", key), _DRIFTED)


def _delete_service(look: _Look) -> Trial:
    return _trial("delete-service", look.service())


def _delete_configmap(look: _Look) -> Trial:
    return _trial("delete-configmap", look.configmap())


def _annotation(look: _Look) -> Trial:
    # Not on the Deployment: its controller copies annotations to the ReplicaSet and never takes them off again.
    path = ("metadata", "annotations", _ANNOTATION)
    return _trial("undeclared-annotation", look.service(), path, _DRIFTED)


def _void(look: _Look) -> Trial:
    item = look.service()
    key = next(iter(sorted(item["spec"].get("selector") or {})), "")
    path = ("spec", "selector", key)
    return _trial("void-patch", item, path, read_field(item, path))


_PLANNERS: Mapping[str, Callable[[_Look], Trial]] = {
    "image": _image,
    "replicas": _replicas,
    "env": _env,
    "resources": _resources,
    "revision-history": _history,
    "configmap": _configmap,
    "service-selector": _selector,
    "delete-service": _delete_service,
    "delete-configmap": _delete_configmap,
    "undeclared-annotation": _annotation,
    "void-patch": _void,
}

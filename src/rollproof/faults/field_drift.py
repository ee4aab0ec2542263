"""Field drift: one field of a declared object is set to another value, or a field that git does not know is added.

Putting back is compare-and-set: a value that is neither ours nor the original belongs to somebody else and stays.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import KINDS, MERGE, STRATEGIC, ApiError, Kube, Object
from rollproof.core.httproute import service_of
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.core.trials import TRIALS
from rollproof.faults.base import Context
from rollproof.faults.leaving import deployment_of
from rollproof.faults.objects import declared, field_name, field_patch, read_field
from rollproof.faults.selfheal.drift import Drift, NotHereError, service, tracked
from rollproof.faults.selfheal.trial import Trial
from rollproof.probes.objectwatch import Arrival
from rollproof.probes.views import app_container, image_tag
from rollproof.store.journal import Undone

__all__ = ["FAULTS", "FieldDrift"]

_ANNOTATION = "rollproof/drift-control"
_DRIFTED = "rollproof-drift"
_NOBODY = "192.0.2.1/32"  # of the network for documentation (RFC 5737): no packet ever comes from there
_TRIES = 5  # a status update between read and write is a conflict; five in a row are somebody at work


class FieldDrift(Drift):
    """The value may follow a release in between: what the plan names is the object and the field."""

    journal_kind = "field-restore"

    def planning_permissions(self, target: Target) -> Iterable[Permission]:
        """Of replicas also who else may own them."""
        yield from super().planning_permissions(target)
        if self.trial == "replicas":
            why, place = "without it drift replicas is skipped: an HPA may own the field", target.cluster.namespace
            yield from each_verb("list", "horizontalpodautoscalers", place, why, group="autoscaling", required=False)

    def changing_permissions(self, target: Target) -> Iterable[Permission]:
        """The same patch puts it back."""
        yield from self.on_object(target, "patch", f"drift {self.trial}")

    def noted(self, trial: Trial, item: Object, kube: Kube) -> Mapping[str, Any]:
        """Tried first: the server may write the value in another form."""
        body = field_patch(trial.path, trial.value)
        would = kube.patch(trial.kind, trial.namespace, trial.object_name, body, how=_how(trial.kind), dry_run=True)
        return {
            "kind": trial.kind, "namespace": trial.namespace, "name": trial.object_name, "path": list(trial.path),
            "original": read_field(item, trial.path), "ours": read_field(would, trial.path),
        }  # fmt: skip

    def send(self, trial: Trial, item: Object, kube: Kube) -> Object:
        """A patch that is refused if somebody has written in between."""
        body = field_patch(trial.path, trial.value)
        body.setdefault("metadata", {})["resourceVersion"] = item["metadata"]["resourceVersion"]
        return kube.patch(trial.kind, trial.namespace, trial.object_name, body, how=_how(trial.kind))

    def version_after(self, item: Object, reply: Object) -> int | None:
        """A patch that changes nothing makes no new version."""
        was, now = item["metadata"]["resourceVersion"], reply["metadata"]["resourceVersion"]
        return None if now == was else int(now)

    def ours(self, noted: Mapping[str, Any]) -> Any:
        """As the server writes it."""
        return noted["ours"]

    def original(self, trial: Trial, before: Object) -> Any:
        """None where it was not there."""
        return read_field(before, trial.path)

    def value(self, trial: Trial, before: Object, item: Object) -> Any:  # noqa: ARG002 - the field alone tells
        """None where it is not there."""
        return read_field(item, trial.path)

    def is_shown(self, version: int, arrival: Arrival) -> bool:
        """From the version of our patch on."""
        return int(arrival.item["metadata"]["resourceVersion"]) >= version

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Set the field back to `original` if it still has `ours`. `original` None: it was not there."""
        kind, namespace, name, path = args["kind"], args["namespace"], args["name"], tuple(args["path"])
        for _ in range(_TRIES):
            item = kube.find(kind, namespace, name)
            if item is None:
                return Undone("left", reason=f"{kind} {name} is gone", expected=args["ours"], found=None)
            found = read_field(item, path)
            if found == args["original"]:
                return Undone("not-needed", reason="it is as before")
            if found != args["ours"]:
                return Undone("left", reason="changed by somebody else", expected=args["ours"], found=found)
            body = field_patch(path, args["original"])
            body.setdefault("metadata", {})["resourceVersion"] = item["metadata"]["resourceVersion"]
            try:
                kube.patch(kind, namespace, name, body, how=_how(kind))
            except ApiError as error:
                if error.status != 409:
                    raise
                continue
            return Undone("done")
        return Undone("failed", reason=f"{kind} {name} changed {_TRIES} times while it was being put back")


def _how(kind: str) -> str:
    """Custom kinds know no strategic merge (415): a list in them is sent as a whole, and no path leads through one."""
    return MERGE if KINDS[kind].custom else STRATEGIC


# -- which field of which object ------------------------------------------------------------------------------------


def _scalers(context: Context) -> list[Object]:
    try:
        return list(context.kube.list("HorizontalPodAutoscaler", context.target.cluster.namespace)["items"])
    except ApiError as error:
        if error.status != 403:
            raise
        reason = "HorizontalPodAutoscalers may not be listed, so nobody can tell whether one owns replicas"
        raise NotHereError(reason) from None


def _container(context: Context, deployment: Object) -> Object:
    wanted, image = context.target.cluster.container, context.target.env_repo.image
    spec = deployment["spec"]["template"]["spec"]
    name = app_container(Outside.of(spec, "the Deployment's pod template"), wanted, image).text("name")
    for container in spec["containers"]:
        if name and container["name"] == name:
            return dict(container)
    raise NotHereError(f"the Deployment has no container {wanted or f'with image {image}'!r}, or several")


def _trial(name: str, item: Object, path: tuple[str, ...], value: Any, said: str = "") -> Trial:
    if not TRIALS[name].control and declared(item, path) is False:
        raise NotHereError(f"git does not declare {field_name(path)}, so Argo CD would leave it as it is")
    metadata = item["metadata"]
    namespace, object_name = metadata["namespace"], metadata["name"]
    return Trial(name=name, namespace=namespace, object_name=object_name, path=path, value=value, said=said)


def _in_container(container: Object, *path: str) -> tuple[str, ...]:
    return ("spec", "template", "spec", "containers", f"name={container['name']}", *path)


def _image(context: Context) -> Trial:
    deployment = deployment_of(context)
    container = _container(context, deployment)
    image, tag = container["image"], image_tag(container["image"])
    settings, shas = context.target.drift, context.target.release.shas
    other = settings.drift_image_tag or next((sha for sha in shas if sha != tag), "")
    if not tag or not other or other == tag:
        raise NotHereError("no other image tag is known: set drift.drift_image_tag or release.shas")
    wrong = f"{image.split('@')[0].removesuffix(tag)}{other}"
    return _trial("image", deployment, _in_container(container, "image"), wrong)


def _replicas(context: Context) -> Trial:
    deployment = deployment_of(context)
    for scaler in _scalers(context):
        reference = scaler["spec"]["scaleTargetRef"]
        if (reference["kind"], reference["name"]) == ("Deployment", deployment["metadata"]["name"]):
            raise NotHereError(f"replicas belong to the HorizontalPodAutoscaler {scaler['metadata']['name']}")
    if declared(deployment, ("spec", "replicas")) is None:
        raise NotHereError("nobody can tell whether git declares replicas")
    return _trial("replicas", deployment, ("spec", "replicas"), deployment["spec"]["replicas"] + 1)


def _env(context: Context) -> Trial:
    deployment = deployment_of(context)
    container, wanted = _container(context, deployment), context.target.drift.env_name
    literal = [one for one in container.get("env") or () if not one.get("valueFrom")]
    chosen = next((one for one in literal if not wanted or one["name"] == wanted), None)
    if chosen is None:
        raise NotHereError(f"the container has no env variable {wanted or 'with a literal value'}")
    path = _in_container(container, "env", f"name={chosen['name']}", "value")
    return _trial("env", deployment, path, f"{chosen.get('value', '')}-drift")


def _resources(context: Context) -> Trial:
    deployment = deployment_of(context)
    container = _container(context, deployment)
    limits: Mapping[str, Any] = (container.get("resources") or {}).get("limits") or {}
    for resource in ("memory", "cpu"):
        number = re.fullmatch(r"(\d+)(\D*)", str(limits.get(resource, "")))
        if number:  # one more than declared: always above the request
            path = _in_container(container, "resources", "limits", resource)
            return _trial("resources", deployment, path, f"{int(number[1]) + 1}{number[2]}")
    raise NotHereError("the container declares no memory or cpu limit")


def _history(context: Context) -> Trial:
    # One more than declared: no pod is touched, and no ReplicaSet goes that would not have gone anyway.
    deployment, path = deployment_of(context), ("spec", "revisionHistoryLimit")
    if declared(deployment, path) is None:  # the API server fills in a default, so that it is always there
        raise NotHereError("nobody can tell whether git declares spec.revisionHistoryLimit")
    return _trial("revision-history", deployment, path, int(read_field(deployment, path) or 0) + 1)


def _probe_path(context: Context) -> Trial:
    # Readiness first: a new pod that is not ready takes nobody's place, one that is not alive is restarted too.
    deployment = deployment_of(context)
    container = _container(context, deployment)
    for probe in ("readinessProbe", "livenessProbe"):
        path = read_field(container, (probe, "httpGet", "path"))
        if path:
            field = _in_container(container, probe, "httpGet", "path")
            return _trial("probe-path", deployment, field, f"{path.rstrip('/')}/{_DRIFTED}")
    raise NotHereError("the container has no readiness or liveness probe that asks a path by HTTP")


def _pull_secret(context: Context) -> Trial:
    # Taken away, not exchanged: Argo CD merges this list by name, and would leave a second reference where it is.
    deployment, path = deployment_of(context), ("spec", "template", "spec", "imagePullSecrets")
    names = [one.get("name", "") for one in read_field(deployment, path) or ()]
    if not names:
        raise NotHereError("the Deployment names no pull secret (its ServiceAccount may)")
    return _trial("pull-secret", deployment, path, None, f"without {', '.join(names)}")


def _ingress_rule(context: Context) -> Trial:
    item, ours = tracked(context, "Ingress"), context.target.cluster.service
    rules = copy.deepcopy(item["spec"].get("rules") or [])
    paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or ()]
    for path in paths:
        if read_field(path, ("backend", "service", "name")) == ours:
            path["backend"]["service"]["name"] = _DRIFTED
            said = f"{path.get('path', 'a rule')} goes to Service {_DRIFTED}, which is not there, instead of {ours}"
            return _trial("ingress-rule", item, ("spec", "rules"), rules, said)
    raise NotHereError(f"no rule of Ingress {item['metadata']['name']} goes to Service {ours}: see drift.ingress")


def _http_route_rule(context: Context) -> Trial:
    item, cluster = tracked(context, "HTTPRoute"), context.target.cluster
    rules = copy.deepcopy(item["spec"].get("rules") or [])
    for rule in rules:
        for backend in rule.get("backendRefs") or ():
            if service_of(Outside.of(backend, "a backendRef of the HTTPRoute"), cluster.namespace) != cluster.service:
                continue
            backend["name"] = _DRIFTED
            paths = [read_field(match, ("path", "value")) for match in rule.get("matches") or ()]
            said = f"{paths[0] if paths and paths[0] else 'a rule'} goes to Service {_DRIFTED}, which is not there, "
            return _trial("http-route-rule", item, ("spec", "rules"), rules, f"{said}instead of {cluster.service}")
    name = item["metadata"]["name"]
    raise NotHereError(f"no rule of HTTPRoute {name} goes to Service {cluster.service}: see drift.http_route")


def _hpa_max(context: Context) -> Trial:
    item = tracked(context, "HorizontalPodAutoscaler")
    path = ("spec", "maxReplicas")
    return _trial("hpa-max", item, path, int(read_field(item, path) or 0) + 1)


def _network_policy(context: Context) -> Trial:
    item = tracked(context, "NetworkPolicy")
    for way, peers in (("ingress", "from"), ("egress", "to")):
        rules = item["spec"].get(way)
        if rules:
            more = [*rules, {peers: [{"ipBlock": {"cidr": _NOBODY}}]}]
            return _trial(
                "network-policy", item, ("spec", way), more, f"a rule more: {peers} {_NOBODY}, where nobody is"
            )
    raise NotHereError(f"NetworkPolicy {item['metadata']['name']} has no rule")


def _configmap(context: Context) -> Trial:
    item, key = tracked(context, "ConfigMap"), context.target.drift.configmap_key
    data = item.get("data") or {}
    chosen = key or next(iter(sorted(data)), "")
    if chosen not in data:
        raise NotHereError(f"ConfigMap {item['metadata']['name']} has no key {chosen!r}")
    return _trial("configmap", item, ("data", chosen), f"{data[chosen]}-drift")


def _selector(context: Context) -> Trial:
    item = service(context)
    key = next(iter(sorted(item["spec"].get("selector") or {})), "")
    if not key:
        raise NotHereError("the Service has no selector")
    return _trial("service-selector", item, ("spec", "selector", key), _DRIFTED)


def _annotation(context: Context) -> Trial:
    # Not on the Deployment: its controller copies annotations to the ReplicaSet and never takes them off again.
    path = ("metadata", "annotations", _ANNOTATION)
    return _trial("undeclared-annotation", service(context), path, _DRIFTED)


def _void(context: Context) -> Trial:
    item = service(context)
    key = next(iter(sorted(item["spec"].get("selector") or {})), "")
    path = ("spec", "selector", key)
    return _trial("void-patch", item, path, read_field(item, path))


_FOUND_BY = {
    "image": _image,
    "replicas": _replicas,
    "env": _env,
    "resources": _resources,
    "revision-history": _history,
    "probe-path": _probe_path,
    "pull-secret": _pull_secret,
    "configmap": _configmap,
    "service-selector": _selector,
    "ingress-rule": _ingress_rule,
    "http-route-rule": _http_route_rule,
    "hpa-max": _hpa_max,
    "network-policy": _network_policy,
    "undeclared-annotation": _annotation,
    "void-patch": _void,
}
FAULTS = tuple(FieldDrift(trial, find) for trial, find in _FOUND_BY.items())

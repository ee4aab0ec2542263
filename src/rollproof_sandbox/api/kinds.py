"""Kinds: the API path of each kind, how its lists merge, and which writes raise its generation.

One table for the store, the patches, the field managers and the URLs. The schemas name only what differs from the
rule "maps merge field by field, lists are replaced as a whole".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["KINDS", "Kind", "Schema", "kind_of_plural"]


@dataclass(frozen=True, slots=True)
class Schema:
    """One field. `key` is the merge key of a list of maps, `keys` are its identity for field managers.

    `atomic`: a map that field managers own as a whole. `is_set`: a list of values that merges. `always`: a structure of
    the server's, present even in an empty object, so that a writer does not own all of it.
    """

    fields: Mapping[str, Schema] = field(default_factory=dict)
    key: str = ""
    keys: tuple[str, ...] = ()
    atomic: bool = False
    is_set: bool = False
    always: bool = False

    def child(self, name: str) -> Schema:
        """The field's schema."""
        return self.fields.get(name, _PLAIN)


_PLAIN = Schema()
_ATOMIC = Schema(atomic=True)


def _maps(key: str, *keys: str, **fields: Schema) -> Schema:
    return Schema(fields=fields, key=key, keys=keys or (key,))


def _part(**fields: Schema) -> Schema:
    return Schema(fields=fields, always=True)


_METADATA = _part(ownerReferences=_maps("uid"), finalizers=Schema(is_set=True))
_VALUE_FROM = Schema(fields=dict.fromkeys(("configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"), _ATOMIC))
_CONTAINER = {
    "env": _maps("name", valueFrom=_VALUE_FROM),
    "ports": _maps("containerPort", "containerPort", "protocol"),
    "volumeMounts": _maps("mountPath"),
    "volumeDevices": _maps("devicePath"),
}
_POD_SPEC = _part(
    containers=replace(_maps("name", **_CONTAINER), always=True),
    initContainers=_maps("name", **_CONTAINER),
    volumes=_maps("name"),
    imagePullSecrets=_maps("name"),
    hostAliases=_maps("ip"),
    topologySpreadConstraints=_maps("topologyKey", "topologyKey", "whenUnsatisfiable"),
    nodeSelector=_ATOMIC,
)
_TEMPLATE = _part(metadata=_METADATA, spec=_POD_SPEC)
_CONDITIONS = _part(conditions=_maps("type"))
_WORKLOAD = _part(
    metadata=_METADATA,
    spec=_part(selector=_ATOMIC, template=_TEMPLATE, strategy=_part()),
    status=_CONDITIONS,
)
_POD = _part(
    metadata=_METADATA,
    spec=_POD_SPEC,
    status=_part(conditions=_maps("type"), podIPs=_maps("ip"), hostIPs=Schema(key="ip")),
)
_SERVICE = _part(
    metadata=_METADATA,
    spec=_part(ports=_maps("port", "port", "protocol"), selector=_ATOMIC),
    status=_part(loadBalancer=_part(), conditions=_maps("type")),
)
_NODE = _part(metadata=_METADATA, spec=_part(), status=_part(conditions=_maps("type"), addresses=_maps("type")))
_OTHER = _part(metadata=_METADATA, spec=_part(), status=_CONDITIONS)
_FLAT = _part(metadata=_METADATA)
_CUSTOM = Schema(fields={"metadata": _METADATA})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `status_apart`: its status is written through its own subresource.

    `generation`: the parts whose change raises it, joined by "+": spec, annotations, labels, all (anything but
    metadata).
    """

    name: str
    plural: str
    group: str = ""  # empty: the core group
    version: str = "v1"
    namespaced: bool = True
    schema: Schema = _FLAT
    status_apart: bool = False
    generation: str = ""
    custom: bool = False  # from a CustomResourceDefinition: no strategic merge patch

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The kind with its group, as in messages."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def resource(self) -> str:
        """The resource with its group, as in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Pod", "pods", schema=_POD, status_apart=True, generation="spec"),
        Kind("Service", "services", schema=_SERVICE, status_apart=True),
        Kind("ConfigMap", "configmaps"),
        Kind("Secret", "secrets"),
        Kind("Node", "nodes", namespaced=False, schema=_NODE, status_apart=True),
        Kind("Namespace", "namespaces", namespaced=False, schema=_OTHER, status_apart=True),
        Kind("Event", "events"),
        Kind("Deployment", "deployments", "apps", schema=_WORKLOAD, status_apart=True, generation="spec+annotations"),
        Kind("ReplicaSet", "replicasets", "apps", schema=_WORKLOAD, status_apart=True, generation="spec"),
        Kind("StatefulSet", "statefulsets", "apps", schema=_WORKLOAD, status_apart=True, generation="spec"),
        Kind("EndpointSlice", "endpointslices", "discovery.k8s.io", generation="all+labels"),
        Kind("Lease", "leases", "coordination.k8s.io", schema=_OTHER),
        Kind(
            "HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2", schema=_OTHER,
            status_apart=True,
        ),
        Kind("Ingress", "ingresses", "networking.k8s.io", schema=_OTHER, status_apart=True, generation="spec"),
        Kind(
            "PodDisruptionBudget", "poddisruptionbudgets", "policy", schema=_OTHER, status_apart=True, generation="spec"
        ),
        Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io", schema=_OTHER, generation="spec"),
        # Stored, and nothing acts on them: a dead-man is made on the lab (docs/undo.md), a quota is enforced there.
        Kind("ResourceQuota", "resourcequotas", schema=_OTHER, status_apart=True),
        Kind("Job", "jobs", "batch", schema=_OTHER, status_apart=True, generation="spec"),
        Kind("ServiceAccount", "serviceaccounts", schema=_OTHER),
        Kind("Role", "roles", "rbac.authorization.k8s.io", schema=_OTHER),
        Kind("RoleBinding", "rolebindings", "rbac.authorization.k8s.io", schema=_OTHER),
        Kind("Application", "applications", "argoproj.io", "v1alpha1", schema=_CUSTOM, generation="all", custom=True),
        Kind("AppProject", "appprojects", "argoproj.io", "v1alpha1", schema=_CUSTOM, generation="all", custom=True),
    )
}  # fmt: skip


def kind_of_plural(group: str, version: str, plural: str) -> Kind | None:
    """The kind that a URL names, or None."""
    return _BY_PLACE.get((group, version, plural))


_BY_PLACE = {(kind.group, kind.version, kind.plural): kind for kind in KINDS.values()}

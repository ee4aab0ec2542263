"""Rules: objects that the API server refuses because of their content, as far as a drill could send them.

Types first (in the words of a decoder), then names, then fields that are immutable. Changes nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from rollproof_sandbox.api.errors import invalid
from rollproof_sandbox.api.kinds import Kind

__all__ = ["check", "check_name", "type_problem"]

_STRINGS = ("data", "binaryData", "stringData")  # maps whose values must be strings
_MICRO_TIMES = ("acquireTime", "renewTime")
_MICRO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$")
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_CHANGEABLE = ("nodeName", "activeDeadlineSeconds", "tolerations")  # of a Pod's spec; nodeName by its binding


def type_problem(kind: Kind, item: dict[str, Any]) -> str:
    """The field that has a wrong type, in the words of a decoder; "" if there is none."""
    metadata = item.get("metadata") or {}
    for place, holder, names in (("", item, _STRINGS), ("ObjectMeta.", metadata, ("labels", "annotations"))):
        for name in names:
            values = holder.get(name)
            found = [one for one in values.values() if one is not None] if isinstance(values, dict) else [values]
            if values is not None and (not isinstance(values, dict) or any(not isinstance(one, str) for one in found)):
                wanted = "string" if isinstance(values, dict) else "map[string]string"
                what = _json_type(next(one for one in found if not isinstance(one, str) or wanted != "string"))
                return f"json: cannot unmarshal {what} into Go struct field {kind.name}.{place}{name} of type {wanted}"
    if kind.name == "Lease":
        for name in _MICRO_TIMES:
            value = (item.get("spec") or {}).get(name)
            if value is not None and not _MICRO_TIME.match(value):
                return f'parsing time "{value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse it'
    replicas = (item.get("spec") or {}).get("replicas") if isinstance(item.get("spec"), dict) else None
    if replicas is not None and not isinstance(replicas, int):
        where = f"{kind.name}Spec.spec.replicas"
        return f"json: cannot unmarshal {_json_type(replicas)} into Go struct field {where} of type int32"
    return ""


def _json_type(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def check_name(kind: Kind, name: str) -> None:
    """StoreError for an invalid name."""
    if not _NAME.match(name) or len(name) > 253:
        problem = (
            f"Invalid value: {json.dumps(name)}: a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
            "'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
        raise invalid(kind, name, "metadata.name", problem)


def check(kind: Kind, old: dict[str, Any] | None, new: dict[str, Any]) -> None:
    """StoreError for what the real server refuses and a drill could send."""
    name = new["metadata"].get("name", "")
    if kind.name in ("Deployment", "ReplicaSet", "StatefulSet"):
        _check_workload(kind, old, new, name)
    if kind.name == "Service" and old:
        before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
        if before != after and before != "None":
            raise invalid(kind, name, "spec.clusterIPs[0]", f'Invalid value: ["{after}"]: may not change once set')
    if kind.name == "Pod" and old and _fixed(old["spec"]) != _fixed(new["spec"]):
        problem = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)"
        )
        raise invalid(kind, name, "spec", problem, "FieldValueForbidden")


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    """The part of a Pod's spec that cannot be changed after its creation."""
    kept = {key: value for key, value in spec.items() if key not in _CHANGEABLE}
    for key in ("containers", "initContainers"):
        kept[key] = [{**container, "image": ""} for container in spec.get(key, ())]
    return kept


def _check_workload(kind: Kind, old: dict[str, Any] | None, new: dict[str, Any], name: str) -> None:
    spec = new["spec"]
    if old is not None and old["spec"].get("selector") != spec.get("selector"):
        problem = f"Invalid value: {_compact(spec.get('selector'))}: field is immutable"
        raise invalid(kind, name, "spec.selector", problem)
    replicas = spec["replicas"]
    if replicas < 0:
        problem = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(kind, name, "spec.replicas", problem)
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    wanted = (spec.get("selector") or {}).get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        problem = f"Invalid value: {_compact(labels)}: `selector` does not match template `labels`"
        raise invalid(kind, name, "spec.template.metadata.labels", problem)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)

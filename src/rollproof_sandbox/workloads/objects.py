"""Objects: helper functions about objects for all controllers. Must not read or write the store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rollproof_sandbox.api.store import Object

__all__ = [
    "HASH_LABEL", "Key", "age_s", "condition", "controller_of", "is_active", "is_ready", "key_of", "matches", "now",
    "owner_reference", "replicas_of", "set_condition",
]  # fmt: skip

Key = tuple[str, str, str]  # kind, namespace, name
HASH_LABEL = "pod-template-hash"
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The wall clock, in the format and resolution of the API."""
    return datetime.now(UTC).strftime(_FORMAT)


def age_s(stamp: str) -> float:
    """Seconds since an API time stamp."""
    return (datetime.now(UTC) - datetime.strptime(stamp, _FORMAT).replace(tzinfo=UTC)).total_seconds()


def key_of(item: Object) -> Key:
    """The object's key."""
    metadata = item["metadata"]
    return str(item["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])


def controller_of(item: Object) -> Mapping[str, Any]:
    """The owner reference of the controller that manages it; empty if it is an orphan."""
    owners = item["metadata"].get("ownerReferences") or ()
    return next((one for one in owners if one.get("controller")), {})


def owner_reference(owner: Object) -> Object:
    """The reference that marks what `owner` controls."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def matches(selector: Mapping[str, Any], item: Object) -> bool:
    """Whether a label selector selects the object. An empty one selects nothing here."""
    labels = item["metadata"].get("labels") or {}
    wanted, rules = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    return bool(wanted or rules) and wanted.items() <= labels.items() and all(_holds(rule, labels) for rule in rules)


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or ()
    how = rule["operator"]
    if how in ("Exists", "DoesNotExist"):
        return (value is not None) is (how == "Exists")
    return (value in values) is (how == "In")


def condition(item: Object, kind: str) -> Object:
    """One condition of the status; empty if missing."""
    found: list[Object] = (item.get("status") or {}).get("conditions") or []
    return next((one for one in found if one["type"] == kind), {})


def set_condition(conditions: list[Object], new: Object) -> list[Object]:
    """The conditions with `new` in place of the one of its type, at the end, as a Deployment's controller orders them.

    With the same status and reason nothing changes; with the same status the transition time stays.
    """
    old = next((one for one in conditions if one["type"] == new["type"]), None)
    if old and (old["status"], old["reason"]) == (new["status"], new["reason"]):
        return conditions
    if old and old["status"] == new["status"]:
        new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [*(one for one in conditions if one["type"] != new["type"]), new]


def replicas_of(item: Object) -> int:
    """The replicas that the spec of a Deployment or ReplicaSet wants."""
    return int(item["spec"].get("replicas", 1))


def is_active(pod: Object) -> bool:
    """Whether it counts as a replica: neither Terminating nor ended."""
    done = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not done and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether its condition Ready is true."""
    return bool(condition(pod, "Ready").get("status") == "True")

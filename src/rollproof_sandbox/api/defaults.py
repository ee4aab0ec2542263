"""Defaults: the values and canonical forms that the API server adds, as far as drills can see them.

Works in place on an object that the store is about to keep. Only fields that are read somewhere: no copy of the API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from rollproof_sandbox.api.kinds import Kind

__all__ = ["fill_in", "quantity"]

_OMITTED_IF_EMPTY = frozenset([
    "annotations", "binaryData", "conditions", "data", "env", "finalizers", "labels", "limits", "nodeSelector",
    "ownerReferences", "ports", "requests", "selector", "volumeMounts", "volumes",
])  # fmt: skip
_STATUS: dict[str, dict[str, Any]] = {  # there from the beginning
    "Deployment": {}, "Service": {"loadBalancer": {}}, "Namespace": {"phase": "Active"}, "Pod": {"phase": "Pending"},
}  # fmt: skip
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"^([+-]?[0-9.]+)([KMGTPE]i|[numkMGTPE]?|[eE][+-]?[0-9]+)$")


def fill_in(kind: Kind, item: dict[str, Any]) -> None:
    """Defaults and canonical forms."""
    item["apiVersion"], item["kind"] = kind.api_version, kind.name
    if kind.custom:
        item["metadata"] = _tidy(item["metadata"])
        return
    tidied = _tidy(item)
    item.clear()
    item.update(tidied)
    if kind.name in _STATUS:
        item["status"] = {**_STATUS[kind.name], **item.get("status", {})}
    if kind.name in _FILL:
        _FILL[kind.name](item.setdefault("spec", {}))
    if kind.name == "Pod":
        _requests(item["spec"])
        item["status"].setdefault("qosClass", _quality(item["spec"]))
    if kind.name == "Secret":
        item.setdefault("type", "Opaque")
    if kind.name == "Namespace":
        item["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/metadata.name", item["metadata"]["name"])
    if kind.name == "EndpointSlice":  # the real server has null for none
        item["endpoints"], item["ports"] = item.get("endpoints") or None, item.get("ports") or None


def quantity(value: Any) -> Any:
    """A quantity in its canonical form: "1000m" is "1", "1024Mi" is "1Gi"; other values stay."""
    found = _QUANTITY.match(str(value))
    if not found:
        return value
    try:
        number = Decimal(found[1])
    except InvalidOperation:
        return value
    if found[2] in _BINARY:
        power = _BINARY[found[2]]
        if number == number.to_integral_value():
            whole = int(number)
            while whole and power < 6 and whole % 1024 == 0:
                whole, power = whole // 1024, power + 1
            return f"{whole}{next(unit for unit, of in _BINARY.items() if of == power)}"
        number, suffix = number * 1024**power, 0
    else:
        exponent = found[2][:1] in ("e", "E") and len(found[2]) > 1
        suffix = int(found[2][1:]) if exponent else _DECIMAL[found[2]]
        if exponent:
            return _decimal(number.scaleb(suffix), {power: f"e{power}" if power else "" for power in _DECIMAL.values()})
    return _decimal(number.scaleb(suffix), {power: unit for unit, power in _DECIMAL.items()})


def _decimal(amount: Decimal, units: Mapping[int, str]) -> str:
    if amount == 0:
        return "0"
    power = 18
    while power > -9 and amount.scaleb(-power) != amount.scaleb(-power).to_integral_value():
        power -= 3
    return f"{int(amount.scaleb(-power))}{units[power]}"


def _tidy(value: Any) -> Any:
    """Without nulls, and without the empty maps and lists that a typed object drops."""
    if isinstance(value, dict):
        tidied = {key: _tidy(inner) for key, inner in value.items() if inner is not None}
        return {k: v for k, v in tidied.items() if not (k in _OMITTED_IF_EMPTY and v in ({}, []))}
    if isinstance(value, list):
        return [_tidy(one) for one in value]
    return value


def _workload(spec: dict[str, Any]) -> None:
    spec.setdefault("replicas", 1)
    _pod(spec.setdefault("template", {}).setdefault("spec", {}))


def _deployment(spec: dict[str, Any]) -> None:
    _workload(spec)
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")


def _pod(spec: dict[str, Any]) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        _container(container)
    for volume in spec.get("volumes", ()):
        if "sizeLimit" in volume.get("emptyDir", {}):
            volume["emptyDir"]["sizeLimit"] = quantity(volume["emptyDir"]["sizeLimit"])
        for source in ("configMap", "secret"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)


def _container(container: dict[str, Any]) -> None:
    tag = str(container.get("image", "")).rpartition("/")[2].partition("@")[0].partition(":")[2]
    digest = "@" in str(container.get("image", ""))
    container.setdefault("imagePullPolicy", "IfNotPresent" if digest or tag not in ("", "latest") else "Always")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    resources = container.setdefault("resources", {})
    for section in ("limits", "requests"):
        if section in resources:
            resources[section] = {key: quantity(value) for key, value in resources[section].items()}
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for probe in (container[name] for name in ("readinessProbe", "livenessProbe", "startupProbe") if name in container):
        for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1)):
            probe.setdefault(name, value)
        probe.setdefault("failureThreshold", 3)
        if "httpGet" in probe:
            probe["httpGet"].setdefault("path", "/")
            probe["httpGet"].setdefault("scheme", "HTTP")
    for variable in container.get("env", ()):
        if "fieldRef" in variable.get("valueFrom", {}):
            variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")


def _requests(spec: dict[str, Any]) -> None:
    """A Pod's requests default to its limits; a template's do not."""
    for container in spec.get("containers", ()):
        resources = container["resources"]
        if "limits" in resources:
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}


def _quality(spec: dict[str, Any]) -> str:
    resources = [one.get("resources", {}) for one in spec.get("containers", ())]
    if not any(one.get("limits") or one.get("requests") for one in resources):
        return "BestEffort"
    full = all(one.get("limits", {}).keys() >= {"cpu", "memory"} for one in resources)
    return "Guaranteed" if full and all(one["limits"] == one.get("requests") for one in resources) else "Burstable"


def _service(spec: dict[str, Any]) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


_FILL = {
    "Deployment": _deployment, "ReplicaSet": _workload, "StatefulSet": _workload, "Pod": _pod, "Service": _service,
}  # fmt: skip

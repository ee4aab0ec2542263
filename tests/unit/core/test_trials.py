"""The table of drifts, written out once more: what each changes, and what keeps it away, decides what users feel."""

from __future__ import annotations

from dataclasses import fields

import pytest

from rollproof.core.target import DriftSettings
from rollproof.core.trials import TRIALS

KINDS = {
    "Deployment": {
        "image", "replicas", "env", "resources", "revision-history", "probe-path", "pull-secret", "delete-deployment",
    },
    "ConfigMap": {"configmap", "delete-configmap"},
    "Service": {"service-selector", "delete-service", "undeclared-annotation", "void-patch"},
    "Ingress": {"ingress-rule", "delete-ingress"},
    "HTTPRoute": {"http-route-rule", "delete-http-route"},
    "HorizontalPodAutoscaler": {"hpa-max", "delete-hpa"},
    "NetworkPolicy": {"network-policy"},
}  # fmt: skip
CONTROLS = {"undeclared-annotation", "void-patch"}
UNFELT = {*CONTROLS, "revision-history", "network-policy"}
ASKED_FOR = {
    "delete-ingress": "delete_ingress", "delete-http-route": "delete_http_route", "delete-hpa": "delete_hpa",
    "delete-deployment": "delete_deployment",
}  # fmt: skip
SETTINGS = {one.name for one in fields(DriftSettings)}


def test_each_kind_of_object_and_no_other() -> None:
    assert {kind: {name for name, one in TRIALS.items() if one.kind == kind} for kind in KINDS} == KINDS
    assert set(TRIALS) == set().union(*KINDS.values())


@pytest.mark.parametrize("name", sorted(set().union(*KINDS.values())))
def test_each_trial(name: str) -> None:
    trial = TRIALS[name]
    assert trial.deletes is name.startswith("delete-")
    assert trial.control is (name in CONTROLS)
    assert trial.affects_traffic is (name not in UNFELT)
    assert trial.flag == ASKED_FOR.get(name, "")
    assert not trial.flag or trial.flag in SETTINGS

"""Moments: whose change of what is a drift."""

from __future__ import annotations

import pytest

from rollproof_sandbox.api.moments import is_drift
from rollproof_sandbox.api.store import Change


def change(kind: str = "ConfigMap", *, namespace: str = "shop", manager: str = "rollproof", how: str) -> Change:
    item = {"kind": kind, "metadata": {"name": "shop", "namespace": namespace}}
    return Change(how, item, item, kind, manager)


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment", "Service"])
@pytest.mark.parametrize("how", ["MODIFIED", "DELETED"])
def test_a_change_or_deletion_by_rollproof_is_a_drift(kind: str, how: str) -> None:
    assert is_drift(change(kind, how=how))


@pytest.mark.parametrize("how", ["MODIFIED", "DELETED"])
def test_what_is_no_drift(how: str) -> None:
    assert not is_drift(change("Lease", how=how))
    assert not is_drift(change("Application", namespace="argocd", how=how))
    assert not is_drift(change(manager="kubectl-edit", how=how))
    assert not is_drift(change(how="ADDED"))

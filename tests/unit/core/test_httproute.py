"""An HTTPRoute's backends: which of them is a Service of the route's namespace that gets requests."""

from __future__ import annotations

import pytest

from rollproof.core.httproute import service_of
from rollproof.core.outside import Outside


@pytest.mark.parametrize(("backend", "service"), [
    ({"name": "shop"}, "shop"),
    ({"name": "shop", "kind": "Service", "group": ""}, "shop"),
    ({"name": "shop", "namespace": "here"}, "shop"),
    ({"name": "shop", "namespace": "elsewhere"}, ""),  # needs a ReferenceGrant, and is another app's
    ({"name": "shop", "kind": "TraefikService", "group": "traefik.io"}, ""),
    ({"name": "shop", "group": "multicluster.x-k8s.io"}, ""),
    ({"name": "shop", "kind": "ServiceImport"}, ""),
    ({"name": "shop", "weight": 1}, "shop"),
    ({"name": "shop", "weight": 0}, ""),
    ({"name": "shop", "weight": 100}, "shop"),
])  # fmt: skip
def test_the_service_that_a_backend_is(backend: dict[str, object], service: str) -> None:
    assert service_of(Outside.of(backend, "the backend"), "here") == service

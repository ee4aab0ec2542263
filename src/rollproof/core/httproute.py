"""An HTTPRoute of the Gateway API: where its rules send requests. Pure.

Rules: gateway.networking.k8s.io/v1, HTTPBackendRef: without group and kind it is a Service, without namespace one of
the route's, without weight it has weight 1, and with weight 0 it gets no request.
"""

from __future__ import annotations

from rollproof.core.outside import Outside

__all__ = ["service_of"]


def service_of(backend: Outside, namespace: str) -> str:
    """The Service of `namespace`, the route's own, that gets requests by this backendRef; "" if none does."""
    is_service = (backend.text("group"), backend.text("kind", "Service")) == ("", "Service")
    here = backend.text("namespace", namespace) == namespace
    asked = not backend.has("weight") or backend.count("weight") > 0
    return backend.text("name") if is_service and here and asked else ""

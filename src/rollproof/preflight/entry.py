"""Entry: what leads users to a Service: rules of Ingresses, and of HTTPRoutes with the Gateway before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.httproute import service_of
from rollproof.core.outside import Outside

__all__ = ["Entry", "of_ingresses", "of_routes", "with_gateway"]

_GATEWAY_GROUP = "gateway.networking.k8s.io"
_PORT_OF = {"HTTPS": 443, "HTTP": 80}  # the listeners that an HTTPRoute can be behind, the wanted one first


@dataclass(frozen=True, slots=True)
class Entry:
    """Where requests for a host go. `host` "": any, or of a pattern. `port` 0: the scheme's own, or it is not known.

    `route` is the HTTPRoute that says so, whose `gateway` (NAMESPACE/NAME) and its class are known when it was looked
    for.
    """

    host: str = ""
    service: str = ""
    tls: bool = False
    port: int = 0
    gateway: str = ""
    gateway_class: str = ""
    route: Outside | None = None


def of_ingresses(ingresses: Sequence[Outside]) -> Iterator[Entry]:
    """One for each path of each rule."""
    for ingress in ingresses:
        spec = ingress.child("spec")
        secured = {host for one in spec.objects("tls") for host in one.texts("hosts")}
        for rule in spec.objects("rules"):
            host = rule.text("host")
            for path in rule.child("http").objects("paths"):
                yield Entry(_one_host(host), path.child("backend").child("service").text("name"), host in secured)


def of_routes(routes: Sequence[Outside], namespace: str) -> Iterator[Entry]:
    """One for each backend of each rule; port and scheme are said by the Gateway (`with_gateway`)."""
    for route in routes:
        spec = route.child("spec")
        host = next(filter(None, map(_one_host, spec.texts("hostnames"))), "")
        for rule in spec.objects("rules"):
            for backend in rule.objects("backendRefs"):
                yield Entry(host, service_of(backend, namespace), route=route)


def with_gateway(kube: Kube, entry: Entry, namespace: str, notes: list[str]) -> Entry:
    """With port, scheme and, if the route has none, host of the Gateway's listener; what is not known is noted."""
    if entry.route is None:
        return entry
    name = f"HTTPRoute {entry.route.child('metadata').needed('name')}"
    parent = next((one for one in entry.route.child("spec").objects("parentRefs") if _is_gateway(one)), None)
    if parent is None:
        notes.append(f"{name} names no Gateway: scheme and port of app.base_url are a guess")
        return entry
    place = (parent.text("namespace", namespace), parent.text("name"))
    entry, gateway = replace(entry, gateway="/".join(place)), f"Gateway {'/'.join(place)}"
    try:
        found = kube.find("Gateway", *place)
    except ApiError as error:
        notes.append(f"{gateway} could not be read, scheme and port of app.base_url are a guess: {error}")
        return entry
    if found is None:
        notes.append(f"{name} is behind {gateway}, which is not there: app.base_url is a guess")
        return entry
    return _behind(Outside.of(found, gateway), parent, entry, f"{name} is behind {gateway}", notes)


def _behind(gateway: Outside, parent: Outside, entry: Entry, said: str, notes: list[str]) -> Entry:
    """By the listener for which the route asks; HTTPS, if it asks for none."""
    entry = replace(entry, gateway_class=gateway.child("spec").text("gatewayClassName"))
    listeners = [one for one in gateway.child("spec").objects("listeners") if _fits(one, parent, entry.host)]
    listener = min(listeners, key=lambda one: list(_PORT_OF).index(one.text("protocol")), default=None)
    if listener is None:
        notes.append(f"{said}, none of whose listeners fits it: scheme and port of app.base_url are a guess")
        return entry
    protocol, port = listener.text("protocol"), listener.count("port")
    addresses = [one.text("value") for one in gateway.child("status").objects("addresses")]
    at = f"at {', '.join(addresses)}" if addresses else "whose address it does not say"
    notes.append(f"{said}, {at}, port {port}: if the host leads to another place from here, or a Service before the "
                 "Gateway has another port, say --base-url")  # fmt: skip
    host = entry.host or _one_host(listener.text("hostname"))
    return replace(entry, host=host, tls=protocol == "HTTPS", port=0 if port == _PORT_OF[protocol] else port)


def _is_gateway(parent: Outside) -> bool:
    return (parent.text("group", _GATEWAY_GROUP), parent.text("kind", "Gateway")) == (_GATEWAY_GROUP, "Gateway")


def _fits(listener: Outside, parent: Outside, host: str) -> bool:
    pattern = listener.text("hostname")
    return (
        listener.text("protocol") in _PORT_OF
        and parent.text("sectionName") in ("", listener.text("name"))
        and (not parent.has("port") or parent.count("port") == listener.count("port"))
        and (not pattern or not host or host == pattern or _matches(host, pattern))
    )


def _matches(host: str, pattern: str) -> bool:
    return pattern.startswith("*.") and host.endswith(pattern[1:])


def _one_host(host: str) -> str:
    """A pattern (`*.example.com`) is no host that can be asked."""
    return "" if "*" in host else host

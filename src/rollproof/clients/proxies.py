"""Proxies: one rule for everybody here who might go through one (docs/limits.md has it for people).

A proxy of the environment is for the API server and the registry. Never for this machine, never for what NO_PROXY
names, and never for the app: load goes straight to it, and so does what proves it. What a kubeconfig says itself
(`proxy-url`) outranks the environment, as kubectl has it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["is_loopback", "proxy_for"]

_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether that is this machine, by a name or address that never leaves it."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False  # another name


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """The proxy's URL through which `url` is asked; "" for none.

    `<scheme>_proxy`, then `all_proxy`, each in lower case before upper case.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # no URL that could be asked: whoever asks it says so
        return ""
    if not host or is_loopback(host) or _exempt(host, port, environ):
        return ""
    found = _either(environ, f"{parts.scheme}_proxy") or _either(environ, "all_proxy")
    return found if not found or "://" in found else f"http://{found}"


def _either(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _exempt(host: str, port: int, environ: Mapping[str, str]) -> bool:
    """NO_PROXY: names with everything below them, addresses, networks, each also with a port; `*` is all."""
    entries = [entry.strip().lower() for entry in _either(environ, "no_proxy").split(",")]
    return any(entry == "*" or _names(entry, host.lower(), port) for entry in entries if entry)


def _names(entry: str, host: str, port: int) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
    try:
        parts = urlsplit(f"//{entry}")
        wanted_host, wanted_port = parts.hostname or "", parts.port
    except ValueError:
        return False
    name = wanted_host.removeprefix("*").strip(".")
    fits = host == name or (address is None and host.endswith(f".{name}"))
    return bool(name) and fits and wanted_port in (None, port)

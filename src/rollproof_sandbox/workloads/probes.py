"""Probes: real HTTP requests of the kubelet to a pod's process, at their period, up to their thresholds.

Follows the kubelet's prober of 1.37: 200 to 399 is good, no response within the timeout is a failure, redirects are not
followed. Only httpGet: the app here has no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rollproof_sandbox.api.store import Object

__all__ = ["Probe", "is_good", "watch"]

_BODY_BYTES = 10 * 1024
_FIRST_S = 0.5  # delay until the kubelet knows that the container runs: up to a second


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container."""

    path: str
    port: int
    initial_s: float
    period_s: float
    timeout_s: float
    good: int
    bad: int

    @classmethod
    def of(cls, container: Object, name: str) -> Probe | None:
        """The container's probe of that name, or None."""
        spec = container.get(name) or {}
        if "httpGet" not in spec:
            return None
        port = spec["httpGet"]["port"]
        named = {one.get("name"): one["containerPort"] for one in container.get("ports") or ()}
        return cls(
            path=str(spec["httpGet"].get("path", "/")),
            port=int(named.get(port, port)),
            initial_s=float(spec.get("initialDelaySeconds", 0)),
            period_s=float(spec.get("periodSeconds", 10)),
            timeout_s=float(spec.get("timeoutSeconds", 1)),
            good=int(spec.get("successThreshold", 1)),
            bad=int(spec.get("failureThreshold", 3)),
        )


async def watch(probe: Probe, ip: str, said: Callable[[bool], Awaitable[None]]) -> None:
    """Probe until cancelled; `said` gets each result that reached its threshold, also if it is unchanged."""
    loop = asyncio.get_running_loop()
    due_s = loop.time() + max(probe.initial_s, _FIRST_S)
    last, times = False, 0
    while True:
        await asyncio.sleep(due_s - loop.time())
        good = await is_good(probe, ip)
        last, times = good, times + 1 if good is last else 1
        if times >= (probe.good if good else probe.bad):
            await said(good)
        due_s = max(due_s + probe.period_s, loop.time())  # a ticker: a slow response does not shift the next ones


async def is_good(probe: Probe, ip: str) -> bool:
    """Probe once."""
    try:
        async with asyncio.timeout(probe.timeout_s):
            status = await _ask(probe, ip)
    except (OSError, TimeoutError, ValueError, IndexError):
        return False
    return 200 <= status < 400


async def _ask(probe: Probe, ip: str) -> int:
    reader, writer = await asyncio.open_connection(ip, probe.port)
    try:
        head = f"GET {probe.path} HTTP/1.1\r\nHost: {ip}:{probe.port}\r\nUser-Agent: kube-probe/1.37\r\n"
        writer.write(f"{head}Accept: */*\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.readline()).split()[1])
        await reader.read(_BODY_BYTES)
        return status
    finally:
        writer.close()

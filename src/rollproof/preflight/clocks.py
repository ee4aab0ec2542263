"""Clocks: limits of the target file that the platform's own clocks cannot meet, whatever the app does.

A pod is never ready before its probes' first delays are over (kubelet: `initialDelaySeconds` counts from the start of
the container, and so many successes in a row are needed, one a period). A shorter limit would be FAIL on every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rollproof.clients.kube import Object
from rollproof.core.outside import Outside
from rollproof.core.plan import Plan
from rollproof.errors import InputError
from rollproof.faults.registry import fault_named
from rollproof.preflight.planning import Order
from rollproof.probes.views import app_container

__all__ = ["Delay", "check_clocks", "shortest_start"]


@dataclass(frozen=True, slots=True)
class Delay:
    """No sooner than this after its start can a container be ready; `why` names the settings that say so."""

    shortest_s: int
    why: str


def check_clocks(order: Order, plan: Plan, deployment: Object) -> str:
    """InputError for the first limit that cannot be met; else what the shortest start is, in words."""
    cluster = plan.target.cluster
    delay = shortest_start(deployment, cluster.container, plan.target.env_repo.image)
    for setting, limit_s in _limits(order, plan):
        if limit_s < delay.shortest_s:
            message = (
                f"{setting} is {limit_s:g} s, and no pod of Deployment {cluster.deployment!r} can be ready sooner than "
                f"{delay.shortest_s} s after its start: {delay.why}"
            )
            raise InputError(message, f"raise {setting}, or lower the probe's delay")
    return f"a container needs {delay.shortest_s} s at least until it is ready ({delay.why or 'no probe delays it'})"


def shortest_start(deployment: Object, container: str, image: str) -> Delay:
    """Of the app's container, by its startup and readiness probes."""
    spec = Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec")
    app = app_container(spec, container, image)
    delays = [_of_probe(app, "startupProbe"), _of_probe(app, "readinessProbe")]
    return max(delays, key=lambda delay: delay.shortest_s)


def _of_probe(container: Outside, name: str) -> Delay:
    probe = container.child(name)
    first_s, times = probe.count("initialDelaySeconds"), max(1, probe.count("successThreshold"))
    period_s = probe.count("periodSeconds") or 10  # Kubernetes' default
    said = [f"{name}.initialDelaySeconds {first_s}"] if first_s else []
    said += [f"{name}.successThreshold {times} every {period_s} s"] if times > 1 else []
    return Delay(first_s + (times - 1) * period_s, f"{' and '.join(said)} of container {container.text('name')}")


def _limits(order: Order, plan: Plan) -> Iterator[tuple[str, float]]:
    """Every limit of this plan within which a container of the app must start, by its place in the target file."""
    target = plan.target
    for injection in plan.injections:
        if fault_named(injection.fault).starts_container:
            own = injection.fault in target.faults.recovery_limits_s
            setting = f'faults.recovery_limits_s."{injection.fault}"' if own else "faults.recovery_limit_s"
            yield setting, injection.limit_s
    if order.deploys:
        yield "release.deadline_s", target.release.deadline_s
    if order.reverts:
        yield "rollback.limit_s", target.rollback.limit_s

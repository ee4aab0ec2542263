"""Jitter: what a seed varies. Each time that a rollout or a trouble depends on is a little later, at random.

The bounds are far below the effect of any defect, so that no expected verdict changes; what changes is which request,
probe or event a trouble hits. Seed 0 varies nothing: all times are as the settings say.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from rollproof_sandbox.settings import App, Settings, Trouble

__all__ = ["BOUNDS_S", "with_jitter"]

# The most seconds that are added.
BOUNDS_S = {"start": 0.2, "endpoints": 0.03, "ingress": 0.03, "trouble": 0.1, "actor": 0.1, "heal": 0.1}


def with_jitter(settings: Settings) -> Settings:
    """The settings with times varied at random, the same for the same seed."""
    if not settings.seed:
        return settings
    chance = random.Random(settings.seed)  # noqa: S311 - times, no secret

    def later(what: str) -> float:
        return round(chance.uniform(0.0, BOUNDS_S[what]), 4)

    def troubles(many: Iterable[Trouble]) -> tuple[Trouble, ...]:
        """A trouble that begins at its trigger stays there."""
        return tuple(replace(one, after_s=one.after_s + later("trouble")) if one.after_s else one for one in many)

    def app(one: App) -> App:
        return replace(
            one, start_s=one.start_s + later("start"), on_ready=troubles(one.on_ready), on_term=troubles(one.on_term)
        )

    cluster, ingress, argocd, api, host = (
        settings.cluster, settings.ingress, settings.argocd, settings.api, settings.host,
    )  # fmt: skip
    return replace(
        settings,
        app=app(settings.app),
        next_app=app(settings.next_app),
        one_next_pod=app(settings.one_next_pod) if settings.one_next_pod else None,
        cluster=replace(cluster, endpoint_lag_s=cluster.endpoint_lag_s + later("endpoints")),
        ingress=replace(ingress, lag_s=ingress.lag_s + later("ingress"), troubles=troubles(ingress.troubles)),
        argocd=replace(argocd, heal_delay_s=argocd.heal_delay_s + later("heal")),
        api=replace(api, on_rollout=troubles(api.on_rollout)),
        actors=replace(settings.actors, later_s=later("actor")),
        host=replace(host, on_rollout=troubles(host.on_rollout), on_drift=troubles(host.on_drift)),
    )

"""Watched: typed readers of what a watch told about the cluster's objects (docs/facts.md, `watch`).

Everybody behind the recorders reads these facts by name here; a field that is absent says nothing.
"""

from __future__ import annotations

from rollproof.core.event import Event
from rollproof.core.facts import Facts

__all__ = ["deployed_tag", "image_tag"]


def image_tag(image: object) -> str:
    """The tag of an image reference, without a digest; "" if it has none."""
    name = str(image or "").partition("@")[0]
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""


def deployed_tag(facts: Facts, at_s: float) -> str:
    """The image tag of the app's Deployment at that time, as its watch had told it; "" if it had told nothing."""
    cluster = facts.plan.target.cluster
    seen: Event | None = None
    for event in facts.find(source="watch", subject=f"Deployment/{cluster.namespace}/{cluster.deployment}"):
        if event.start_s <= at_s and event.what != "deleted":
            seen = event
    return image_tag(seen.data.get("image")) if seen is not None else ""

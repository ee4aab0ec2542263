"""The leg of the image: of the right platform, and the one that the tag names now is the one that runs."""

from __future__ import annotations

from rollproof.core.counts import many
from rollproof.core.pipeline import EnvCommitSeen, ImageSeen, NodesSeen, RolloutSeen, digest_of
from rollproof.judge.checkers.pipeline.base import Said, Way, broken, short_platform, skipped, sound, unclear

__all__ = ["image"]


def image(way: Way) -> Said:
    """A tag that names a version, an image for the nodes' platform, and in each pod that image."""
    commit = way.road.view(EnvCommitSeen)
    if commit.tag == "latest":
        hint = "tag the image with the short sha of its commit: a tag that moves names no version"
        return broken("MUTABLE_TAG", "the tag in git is 'latest'", hint)
    if not way.road.target.pipeline.registry.url:
        return skipped("the target file names no registry (pipeline.registry.url)")
    found, nodes, rollout = way.road.view(ImageSeen), way.road.view(NodesSeen), way.road.view(RolloutSeen)
    ours = {short_platform(one.platform) for one in found.platforms}
    what = f"{found.image}:{found.tag} ({found.digest[:19]}, {', '.join(sorted(ours)) or 'no platform'})"
    if lacking := sorted(set(nodes.platforms.values()) - ours):
        why = f"{what} is not for {', '.join(lacking)}, which the nodes of its pods are"
        return broken("WRONG_PLATFORM", why, "build it for the nodes' platform (docker buildx build --platform)")
    wanted = f"{commit.image}:{commit.tag}"
    running = {pod.name: digest_of(pod.image_id) for pod in rollout.pods if pod.image == wanted}
    if other := sorted(name for name, digest in running.items() if digest and digest not in found.digests):
        runs = running[other[0]][:19]
        why = f"{many(len(other), 'pod')} ({other[0]}) run {runs}, and the tag names {found.digest[:19]}"
        return broken("TAG_MOVED", why, "the tag was pushed again after the deploy: protect tags, or deploy by digest")
    if others := len(rollout.pods) - len(running):
        return unclear(f"{what}; of {many(len(rollout.pods), 'pod')} {others} have another image")
    if not running or not all(running.values()) or {pod.node for pod in rollout.pods} - nodes.platforms.keys():
        return unclear(f"{what}; not each pod and node says which image and platform it has")
    return sound(f"{what}, read as {found.login}, is what each of {many(len(running), 'pod')} runs")

"""Scaling: a workload's replicas to 0 and back, by its scale subresource alone, never over somebody else's number.

`args` of each function are the workload's kind, namespace, name, uid and `original` replicas, as the plan has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.kube import KINDS, MERGE, ApiError, Kube, Object
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission
from rollproof.core.target import Target
from rollproof.faults.base import Injected, Void
from rollproof.faults.deadman import ActingJob, held_for_s
from rollproof.store.journal import Undone

__all__ = ["RESOURCES", "find_scale", "replicas_of", "scale_back", "scale_dead_man", "scale_to_zero"]

RESOURCES: Mapping[str, str] = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
_GONE = 0  # the replicas that we set
_TRIES = 5  # a status update between read and write is a conflict; five in a row are somebody at work


def find_scale(kube: Kube, args: Mapping[str, Any]) -> Object | None:
    """The scale as the API has it; None if there is no such workload."""
    try:
        return kube.request("GET", _path(args))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def replicas_of(scale: Object) -> int:
    """What is wanted; an absent number is 0, which the API leaves out."""
    return Outside.of(scale, "the scale of the API").child("spec").count("replicas")


def scale_to_zero(kube: Kube, args: Mapping[str, Any]) -> Injected | Void:
    """One patch, bound to the version of the scale that was looked at."""
    who = f"{args['kind']}/{args['namespace']}/{args['name']}"
    scale = find_scale(kube, args)
    if scale is None or scale["metadata"]["uid"] != args["uid"]:
        return Void(f"{who} with uid {args['uid']} was gone when it was to be scaled")
    if replicas_of(scale) != args["original"]:
        return Void(f"{who} had {replicas_of(scale)} replicas when it was to be scaled")
    try:
        reply = _set_replicas(kube, args, scale, _GONE)
    except ApiError as error:
        if error.status in (404, 409):
            return Void(f"{who} was changed by somebody else when it was to be scaled")
        raise
    return Injected({"uid": args["uid"], "resource_version": str(reply["metadata"]["resourceVersion"])})


def scale_back(kube: Kube, args: Mapping[str, Any]) -> Undone:
    """The replicas from before, if nobody has changed ours since."""
    who = f"{args['kind']} {args['name']}"
    for _ in range(_TRIES):
        scale = find_scale(kube, args)
        if scale is None or scale["metadata"]["uid"] != args["uid"]:
            return Undone("left", reason=f"{who} is gone", expected=_GONE, found=None)
        found = replicas_of(scale)
        if found == args["original"]:
            return Undone("not-needed", reason="it is as before")
        if found != _GONE:
            return Undone("left", reason="scaled by somebody else", expected=_GONE, found=found)
        try:
            _set_replicas(kube, args, scale, args["original"])
        except ApiError as error:
            if error.status != 409:
                raise
            continue
        return Undone("done")
    return Undone("failed", reason=f"{who} changed {_TRIES} times while it was being scaled up")


def scale_dead_man(target: Target, args: Mapping[str, Any], *, effect_after_s: float = 0.0) -> ActingJob | None:
    """A Job that may scale this one workload, and scales it up again if it still has 0; None without an image for it.

    effect_after_s: how long the fault may take until it is felt, beyond `faults.effect_within_s`.
    """
    if not target.faults.dead_man_image:
        return None
    right = Permission(
        verb="patch", resource=RESOURCES[args["kind"]], namespace=args["namespace"], why="to scale it to 0 and back",
        group="apps", subresource="scale", name=args["name"],
    )  # fmt: skip
    return ActingJob(
        namespace=args["namespace"], after_s=held_for_s(target.faults, effect_after_s=effect_after_s),
        image=target.faults.dead_man_image, right=right, path=_path(args), uid=args["uid"], pointer="/spec/replicas",
        ours=None, before=args["original"],  # of a scale to 0 the API leaves the number out
    )  # fmt: skip


def _path(args: Mapping[str, Any]) -> str:
    """Of the scale subresource in the API."""
    return f"{KINDS[args['kind']].path(args['namespace'], args['name'])}/scale"


def _set_replicas(kube: Kube, args: Mapping[str, Any], scale: Object, replicas: int) -> Object:
    """409 if anything of the object was changed since `scale` was read."""
    body = {"metadata": {"resourceVersion": scale["metadata"]["resourceVersion"]}, "spec": {"replicas": replicas}}
    return kube.request("PATCH", _path(args), body=body, content_type=MERGE)

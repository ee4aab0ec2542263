"""Cordon: a node takes no new pods, with a mark that says whose deed it was, and the evictions of a drain.

Compare before set: only a node that we have cordoned is uncordoned, and what was tainted or marked by others stays.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.outside import Outside
from rollproof.errors import CannotJudgeError
from rollproof.faults.base import LiveContext
from rollproof.faults.budgets import budgets_of_pod
from rollproof.faults.nodes import node_of_plan
from rollproof.store.journal import Undone

__all__ = ["MARK", "Evictions", "cordon", "evict_all", "forbidding", "uncordon"]

MARK = "rollproof/cordoned-by"  # annotation of the node; its value is the plan's
_TRIES = 5  # a node's status is written every few seconds: each is a conflict; five in a row are somebody at work
_AGAIN_S = 1.0  # between two requests that a budget forbade (kubectl drain: 5 s)
_FORBIDDEN_NOW = 429


def cordon(kube: Kube, args: Mapping[str, Any], *, taint: Mapping[str, str] | None = None) -> str:
    """Cordon the node of the plan and mark it, in one request; with a taint beside it. Why not, if it was not done.

    ApiError if the API says no for another reason than a change in between.
    """
    for _ in range(_TRIES):
        item = node_of_plan(kube, args)
        if item is None:
            return f"node {args['name']} with uid {args['uid']} was gone when it was to be cordoned"
        if _spec(item).flag("unschedulable"):
            return f"node {args['name']} was cordoned by somebody else"
        taints = [*item["spec"].get("taints", ()), *([dict(taint)] if taint else [])]
        if _set(kube, item, unschedulable=True, mark=args["mark"], taints=taints if taint else None):
            return ""
    return f"node {args['name']} changed {_TRIES} times while it was being cordoned"


def uncordon(kube: Kube, args: Mapping[str, Any], *, taint: Mapping[str, str] | None = None) -> Undone:
    """Take cordon, mark and taint away, if the mark says that they are ours."""
    name = args["name"]
    for _ in range(_TRIES):
        item = node_of_plan(kube, args)
        if item is None:
            return Undone("not-needed", reason=f"node {name} is gone")
        found = Outside.of(item, f"node {name}").child("metadata").child("annotations").text(MARK)
        if found != args["mark"]:
            if not _spec(item).flag("unschedulable"):
                return Undone("not-needed", reason="it is as before")
            return Undone("left", reason="cordoned by somebody else", expected=args["mark"], found=found)
        taints = [one for one in item["spec"].get("taints", ()) if one.get("key") != (taint or {}).get("key")]
        if _set(kube, item, unschedulable=None, mark=None, taints=taints if taint else None):
            return Undone("done")
    return Undone("failed", reason=f"node {name} changed {_TRIES} times while it was being uncordoned")


class Evictions:
    """How often the eviction of a drain's pods was asked for, and how often a budget forbade it."""

    def __init__(self) -> None:
        self.granted = 0
        self.forbidden = 0


def evict_all(live: LiveContext, args: Mapping[str, Any], *, until_s: float) -> Evictions:
    """Ask for the eviction of each of the plan's pods, by uid, again and again while a budget forbids it.

    until_s: on the monotonic clock, when it is given up. A pod that is gone needs none.
    """
    count = Evictions()
    left = dict(args["pods"])
    while left:
        for name, uid in tuple(left.items()):
            if _evicted(live.kube, args["namespace"], name, uid, count):
                del left[name]
        if not left or time.monotonic() + _AGAIN_S > until_s:
            break
        time.sleep(_AGAIN_S)
    return count


def forbidding(live: LiveContext, args: Mapping[str, Any]) -> str:
    """Which of the plan's pods are on the node still and nobody has asked to leave, with the budgets that forbid it."""
    pods = live.watches.pods()
    stay = [
        name for name, uid in args["pods"].items()
        if name in pods and pods[name].uid == uid and not pods[name].terminating
    ]  # fmt: skip
    if not stay:
        return ""
    budgets = budgets_of_pod(live.kube, args["namespace"], stay[0])
    by = " and ".join(map(str, budgets)) or "no PodDisruptionBudget selects it"
    return f"{', '.join(stay)} still on node {args['name']}: {by}"


def _evicted(kube: Kube, namespace: str, name: str, uid: str, count: Evictions) -> bool:
    try:
        kube.evict(namespace, name, uid=uid)
    except ApiError as error:
        if error.status == _FORBIDDEN_NOW:
            count.forbidden += 1
            return False
        if error.status not in (404, 409):  # no plain refusal: the node is cordoned by now, and must be uncordoned
            raise CannotJudgeError(f"pod {name} could not be evicted: {error}", error.hint) from None
    else:
        count.granted += 1
    return True


def _spec(item: Object) -> Outside:
    return Outside.of(item, f"node {item['metadata']['name']}").child("spec")


def _set(
    kube: Kube, item: Object, *, unschedulable: bool | None, mark: str | None, taints: list[Any] | None
) -> bool:  # fmt: skip
    """False if the node was changed since it was read. A list of taints is replaced as a whole."""
    metadata = item["metadata"]
    body: Object = {
        "metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": {MARK: mark}},
        "spec": {"unschedulable": unschedulable, **({"taints": taints or None} if taints is not None else {})},
    }  # fmt: skip
    try:
        kube.patch("Node", "", metadata["name"], body)
    except ApiError as error:
        if error.status == 409:
            return False
        raise
    return True
